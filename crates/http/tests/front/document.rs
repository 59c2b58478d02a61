//! The API description, as it is committed.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(countersign_http::openapi()).unwrap()
}

/// Every operation, with its method and path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation.clone()))
    });
    operations.collect()
}

#[test]
fn is_openapi_3_1() {
    let version = document()["openapi"].as_str().unwrap().to_owned();
    assert!(version.starts_with("3.1."), "{version}");
}

#[test]
fn the_committed_one_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut now = document();
    now.sort_all_objects();
    let now = format!("{now:#}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "`docs/openapi.json` is not what the server answers; run `UPDATE=1 cargo test -p countersign-http` and commit it"
    );
}

#[test]
fn every_operation_has_an_id_and_says_what_it_answers() {
    let document = document();
    let mut ids = HashSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{name}");
        for text in ["summary", "tags"] {
            assert!(!operation[text].is_null(), "{text} of {name}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let name = format!("{status} of {name}");
            assert!(
                !response["description"].as_str().unwrap().is_empty(),
                "{name}"
            );
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name}");
            let contents = response["content"].as_object();
            assert_eq!(contents.is_none(), status == "204", "{name}");
            for content in contents.into_iter().flat_map(|contents| contents.values()) {
                let shown = ["schema", "example", "examples"];
                assert!(
                    shown.iter().any(|member| !content[member].is_null()),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(
                members
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            members
                .values()
                .for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[test]
fn routes_of_a_signed_in_user_say_so_and_the_others_do_not() {
    for (name, operation) in operations(&document()) {
        let security = operation["security"].to_string();
        let answers_401 = operation["responses"]["401"]["content"].to_string();
        for (scheme, code) in [
            ("\"bearer\"", "missing_token"),
            ("\"service_key\"", "missing_service_key"),
        ] {
            let secured = security.contains(scheme);
            assert_eq!(secured, answers_401.contains(code), "{name}");
        }
    }
}
