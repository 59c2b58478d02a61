use insta::assert_snapshot;

use crate::app::App;

#[tokio::test]
async fn keys() {
    let app = App::new().await;
    assert_snapshot!(app.get("/.well-known/jwks.json").send().await, @r#"
    200 OK
    content-type: application/json
    cache-control: public, max-age=300
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "keys": [
        {
          "alg": "EdDSA",
          "crv": "Ed25519",
          "kid": "[random]",
          "kty": "OKP",
          "use": "sig",
          "x": "[random]"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn metadata() {
    let app = App::new().await;
    let path = "/.well-known/oauth-authorization-server";
    assert_snapshot!(app.get(path).send().await, @r#"
    200 OK
    content-type: application/json
    cache-control: public, max-age=300
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "grant_types_supported": [
        "password",
        "refresh_token"
      ],
      "issuer": "https://auth.example.org",
      "jwks_uri": "https://auth.example.org/.well-known/jwks.json",
      "response_types_supported": [],
      "token_endpoint": "https://auth.example.org/auth/login",
      "token_endpoint_auth_methods_supported": [
        "none"
      ]
    }
    "#);
}

#[tokio::test]
async fn alive() {
    let app = App::new().await;
    assert_snapshot!(app.get("/healthz").send().await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "status": "ok"
    }
    "#);
}

#[tokio::test]
async fn ready() {
    let app = App::new().await;
    assert_snapshot!(app.get("/readyz").send().await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "dependencies": {
        "announcements": {
          "state": "up"
        },
        "database": {
          "state": "up"
        }
      },
      "status": "ready"
    }
    "#);
}

#[tokio::test]
async fn the_description() {
    let app = App::new().await;
    let answer = app.get("/openapi.json").send().await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = serde_json::to_value(countersign_http::openapi()).unwrap();
    assert_eq!(answer.json(), document);
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_here() {
    let app = App::new().await;
    let page = app.get("/docs").send().await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("://"), "{html}");
    let quoted = html.split('"').filter(|text| text.starts_with("/docs/"));
    let loaded: Vec<&str> = quoted.collect();
    assert!(loaded.len() >= 3, "{loaded:?}");
    for path in loaded {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn files_that_the_page_does_not_have() {
    let app = App::new().await;
    for path in ["/docs/x", "/docs/..%2fCargo.toml", "/docs/%ff", "/docs/%00"] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{path}");
    }
}
