use std::collections::BTreeMap;

use countersign_domain::audit::{By, Kind};
use countersign_store::EventQuery;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::{Caller, Flows};

impl Flows {
    /// Records that this instance has started, with which version, and which settings are others than at the start before
    /// it, of whichever instance that was. `settings` are names and values; of the values only a fingerprint under the root
    /// secret is kept.
    pub async fn record_start(
        &self,
        version: &str,
        settings: &BTreeMap<&'static str, String>,
    ) -> Result<(), Fault> {
        let fingerprint = |value: &String| Value::from(self.ink.fingerprint(value.as_bytes()));
        let now: Map<_, _> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), fingerprint(value)))
            .collect();
        let before = self.settings_before().await?;
        let caller = Caller::server();
        let mut drafts = Vec::new();
        if let Some(before) = before {
            let differs = |name: &&String| before.get(*name) != now.get(*name);
            let gone = before.keys().filter(|name| !now.contains_key(*name));
            let mut changed: Vec<_> = now.keys().filter(differs).chain(gone).cloned().collect();
            changed.sort();
            if !changed.is_empty() {
                tracing::info!(
                    changed = changed.join(" "),
                    "settings changed since the last start"
                );
                let mut draft =
                    self.draft(Kind::SettingsChanged, By::Server, &caller, self.clock.now());
                draft.details.insert("changed".to_owned(), changed.into());
                drafts.push(draft);
            }
        }
        let mut draft = self.draft(Kind::ServerStarted, By::Server, &caller, self.clock.now());
        draft.details.insert("version".to_owned(), version.into());
        draft.details.insert("settings".to_owned(), now.into());
        drafts.push(draft);
        Ok(self.store.append_events(&drafts, &self.ink).await?)
    }

    async fn settings_before(&self) -> Result<Option<Map<String, Value>>, Fault> {
        let starts = EventQuery {
            kind: Some(Kind::ServerStarted),
            ..EventQuery::default()
        };
        let last = self.store.events(&starts, None, 1).await?;
        let details = last.first().and_then(|event| {
            let details: Value = serde_json::from_str(&event.row.details).ok()?;
            details.get("settings")?.as_object().cloned()
        });
        Ok(details)
    }
}
