use axum::Json as Answer;
use axum::extract::State;
use countersign_domain::SessionId;

use crate::answers::{SessionAnswer, SessionListAnswer};
use crate::bearer::Bearer;
use crate::edge::Edge;
use crate::paging::{self, Paging};
use crate::problem::Problem;

/// List your own live sessions
#[utoipa::path(
    get,
    path = "/auth/sessions",
    operation_id = "list_sessions",
    tag = "Your sessions",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many at most; 50 by default."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "The sessions, newest first.", body = SessionListAnswer)),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn list_sessions(
    State(edge): State<Edge>,
    Bearer(who): Bearer,
    paging: Paging,
) -> Result<Answer<SessionListAnswer>, Problem> {
    let after = paging.after.map(|(at, id)| (at, SessionId(id)));
    let page = edge.flows.sessions(who.user(), after, paging.limit).await?;
    let current = who.session();
    let items = page.items.into_iter().map(|session| {
        let is_current = session.id == current;
        SessionAnswer::new(session, is_current)
    });
    Ok(Answer(SessionListAnswer {
        items: items.collect(),
        next_cursor: page.next.map(|(at, id)| paging::encode((at, id.0))),
    }))
}
