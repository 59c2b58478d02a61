//! A running server's look at the schema: another version may migrate the database under it.

use std::time::Duration;

use countersign_store_sql::{SchemaError, SchemaState, SqlStore};

use crate::app;

/// How often it looks. What a newer version announces is to be honoured within a second, so one that is no longer served
/// must not go on for longer.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ends with the reason when the database's schema no longer serves this version. A newer one that does is told of once.
pub(super) async fn unserved(store: &SqlStore) -> SchemaError {
    let mut known = store.schema().await.ok();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match store.schema().await {
            Ok(state) => {
                if let SchemaState::Ahead { database, binary } = state
                    && known.as_ref() != Some(&state)
                {
                    tracing::warn!("{}", app::ahead(database, binary));
                }
                known = Some(state);
            }
            Err(error @ SchemaError::NotServed { .. }) => {
                tracing::error!("{error}");
                return error;
            }
            // Away, or restored to another state: whoever asks for data learns of it.
            Err(error) => tracing::debug!(%error, "cannot look at the schema"),
        }
    }
}
