//! The form that OAuth 2 clients post, and errors as they expect them (RFC 6749, section 5.2).

use insta::assert_snapshot;

use crate::answer::Answer;
use crate::app::App;

const GOOD: &str = "username=ada@example.org&password=correct+horse+battery+staple";

async fn login(app: &App, form: &str) -> Answer {
    app.post("/auth/login").form(form).send().await
}

#[tokio::test]
async fn a_repeated_parameter() {
    let app = App::new().await;
    let answer = login(&app, &format!("{GOOD}&password=x")).await;
    assert_snapshot!(answer, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "malformed_request",
      "detail": "A parameter occurs more than once.",
      "error": "invalid_request",
      "error_description": "A parameter occurs more than once.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "The request cannot be read",
      "type": "/problems/malformed_request"
    }
    "#);
}

#[tokio::test]
async fn malformed_forms() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    for (form, code) in [
        (format!("{GOOD}&scope=a&scope=b"), "malformed_request"),
        (format!("{GOOD}&x=1&%78=2"), "malformed_request"),
        (format!("{GOOD}&x=%ff"), "malformed_request"),
        (format!("{GOOD}&x={}", "y".repeat(65_536)), "body_too_large"),
        (String::new(), "validation_failed"),
        ("username=ada@example.org".to_owned(), "validation_failed"),
        ("{\"email\": \"a\"}".to_owned(), "validation_failed"),
        (format!("{GOOD}&grant_type="), "unsupported_grant_type"),
        (
            format!("{GOOD}&grant_type=Password"),
            "unsupported_grant_type",
        ),
    ] {
        let answer = login(&app, &form).await;
        assert_eq!(answer.problem(), (400, code.to_owned()), "{answer}");
        let error = match code {
            "unsupported_grant_type" => code,
            _ => "invalid_request",
        };
        assert_eq!(answer.json()["error"], error);
    }
}

#[tokio::test]
async fn parameters_that_nobody_asks_for_are_ignored() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    for more in [
        "",
        "&",
        "&client_id=x&client_secret=y",
        "&roles=admin&=&x",
        "&scope=a%20b",
    ] {
        let answer = login(&app, &format!("{GOOD}{more}")).await;
        assert_eq!(answer.status, 200, "{more}");
        assert_eq!(answer.json()["scope"], "");
    }
}

#[tokio::test]
async fn the_other_routes_take_no_forms() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for path in ["/auth/register", "/auth/logout", "/auth/password/change"] {
        let request = app.post(path).bearer(&tokens.access);
        let answer = request.form("refresh_token=x").send().await;
        let expected = (415, "unsupported_media_type".to_owned());
        assert_eq!(answer.problem(), expected, "{path}");
    }
}
