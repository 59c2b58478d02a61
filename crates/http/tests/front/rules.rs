//! What holds for every answer, checked on every one that any test gets.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use crate::answer::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(countersign_http::openapi()).unwrap());

pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {answer}");
    let ids = answer.headers.get_all("x-request-id");
    assert_eq!(ids.iter().count(), 1, "{what}");
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{what}"
    );
    let cached = answer.header("cache-control").unwrap();
    let public = answer.status == 200 && is_public(path);
    assert_eq!(cached.starts_with("public"), public, "{what}");
    assert!(public || cached == "no-store", "{what}");
    if answer.status >= 400 && method != Method::HEAD {
        check_problem(answer, &what);
    }
    if method != Method::HEAD {
        check_documented(method, path, answer, &what);
    }
}

/// Documents that hold nothing personal.
fn is_public(path: &str) -> bool {
    path.starts_with("/.well-known/") || path.starts_with("/docs") || path == "/openapi.json"
}

fn check_problem(answer: &Answer, what: &str) {
    let body = answer.json();
    assert_eq!(body["status"], answer.status, "{what}");
    assert_eq!(
        body["request_id"],
        answer.header("x-request-id").unwrap(),
        "{what}"
    );
    let code = body["code"].as_str().unwrap();
    assert_eq!(body["type"], format!("/problems/{code}"), "{what}");
    for member in ["title", "detail"] {
        assert!(!body[member].as_str().unwrap().is_empty(), "{what}");
    }
    let oauth = body["error"].is_string();
    assert_eq!(body["error_description"].is_string(), oauth, "{what}");
    let media_type = match oauth {
        true => "application/json",
        false => "application/problem+json",
    };
    assert_eq!(answer.header("content-type"), Some(media_type), "{what}");
    let challenged = answer.header("www-authenticate").is_some();
    assert_eq!(challenged, answer.status == 401, "{what}");
    let waits = answer.header("retry-after").is_some();
    assert_eq!(waits, [429, 503].contains(&answer.status), "{what}");
    assert_eq!(
        body["errors"].is_array(),
        answer.status == 422 || code == "validation_failed",
        "{what}"
    );
}

/// The API description knows this status and this media type, and the members of the body.
fn check_documented(method: &Method, path: &str, answer: &Answer, what: &str) {
    let Some(operation) = operation(method, path) else {
        return;
    };
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "status not documented: {what}");
    let Some(media_type) = answer
        .header("content-type")
        .filter(|_| !answer.body.is_empty())
    else {
        assert!(
            response["content"].is_null(),
            "a body is documented: {what}"
        );
        return;
    };
    let content = &response["content"][media_type];
    assert!(content.is_object(), "media type not documented: {what}");
    if let Some(name) = content["schema"]["$ref"].as_str() {
        let schema = DOCUMENT.pointer(name.trim_start_matches('#')).unwrap();
        check_members(schema, &answer.json(), what);
    }
}

/// The operation that a path belongs to; `None`: the router must have refused it.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let (_, item) = paths.iter().find(|(template, _)| fits(template, path))?;
    let operation = &item[method.as_str().to_ascii_lowercase()];
    operation.is_object().then_some(operation)
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(wanted, got)| wanted == got || wanted.starts_with('{'))
}

/// Everything that must be there is, and nothing that is there is unknown; only problems may say
/// more (RFC 9457, section 3.2).
fn check_members(schema: &Value, body: &Value, what: &str) {
    let members = body.as_object().unwrap();
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            members.contains_key(name.as_str().unwrap()),
            "{name} is missing: {what}"
        );
    }
    let open = members.contains_key("code");
    for name in members.keys().filter(|_| !open) {
        assert!(
            schema["properties"][name].is_object(),
            "{name} is not documented: {what}"
        );
    }
}
