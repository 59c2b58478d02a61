//! `Authorization` headers that are no access token: always 401, never 500.

use http::header::AUTHORIZATION;
use insta::assert_snapshot;

use crate::app::App;

#[tokio::test]
async fn malformed_headers() {
    let app = App::new().await;
    let good = app.welcome("ada@example.org").await.access;
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        panic!()
    };
    let of_bytes = |bytes: &[u8]| bytes.to_vec();
    let of = |text: String| text.into_bytes();
    // `{"alg":"none"}`, and the same with a type.
    let unsigned = [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0",
    ];
    let headers = [
        of_bytes(b""),
        of_bytes(b" "),
        of_bytes(b"Bearer"),
        of_bytes(b"Bearer "),
        of_bytes(b"Bearer     "),
        of_bytes(b"Bearer ."),
        of_bytes(b"Bearer .."),
        of_bytes(b"Bearer ..."),
        of_bytes(b"Bearer null"),
        of_bytes(b"Bearer undefined"),
        of_bytes(b"Bearer \xff\xfe"),
        of_bytes(b"\xff Bearer"),
        of_bytes(b"Basic YWRhOng="),
        of_bytes(b"Digest username=\"ada\""),
        of_bytes(b"Negotiate abc"),
        of_bytes("Bearer tök.en.x".as_bytes()),
        of(good.clone()),
        of(format!("bearer: {good}")),
        of(format!("Bearer\t{good}")),
        of(format!("Bearer,{good}")),
        of(format!("Bearer={good}")),
        of(format!("Bearer \"{good}\"")),
        of(format!("Bearer <{good}>")),
        of(format!("Bearer {good} x")),
        of(format!("Bearer {good}, Bearer {good}")),
        of(format!("Bearer {good}\tx")),
        of(format!("Bearer Bearer {good}")),
        of(format!("Token {good}")),
        of(format!("BearerX {good}")),
        of(format!("Bearer {good}.")),
        of(format!("Bearer .{good}")),
        of(format!("Bearer {good}=")),
        of(format!("Bearer {head}.{claims}")),
        of(format!("Bearer {head}.{claims}.")),
        of(format!("Bearer {head}..{signature}")),
        of(format!("Bearer .{claims}.{signature}")),
        of(format!("Bearer {claims}.{head}.{signature}")),
        of(format!("Bearer {}.{claims}.", unsigned[0])),
        of(format!("Bearer {}.{claims}.{signature}", unsigned[1])),
        of(format!("Bearer {head}.{claims}.{}", "A".repeat(86))),
        of(format!("Bearer {}", "A".repeat(8_000))),
        of(format!("Bearer {}", "A.".repeat(4_000))),
        of(format!("Bearer {head}.{}.{signature}", "A".repeat(9_000))),
    ];
    for header in headers {
        let request = app.get("/auth/me").header(AUTHORIZATION, &header);
        let answer = request.send().await;
        let shown = String::from_utf8_lossy(&header).into_owned();
        assert_eq!(
            answer.problem(),
            (401, "invalid_token".to_owned()),
            "{shown}"
        );
    }
    assert_eq!(app.me(&good).await.status, 200);
}

#[tokio::test]
async fn two_headers_are_refused_even_if_they_agree() {
    let app = App::new().await;
    let good = app.welcome("ada@example.org").await.access;
    let request = app.get("/auth/me").bearer(&good).bearer(&good);
    assert_snapshot!(request.send().await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "invalid_token",
      "detail": "It is malformed, was not issued by this server, or is not meant for it.",
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 401,
      "title": "The access token is not valid",
      "type": "/problems/invalid_token"
    }
    "#);
    let request = app.post("/auth/logout").bearer(&good).bearer("x");
    assert_eq!(request.send().await.status, 401);
    assert_eq!(app.me(&good).await.status, 200);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let app = App::new().await;
    let good = app.welcome("ada@example.org").await.access;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR  "] {
        let header = format!("{scheme}{good}");
        let answer = app
            .get("/auth/me")
            .header(AUTHORIZATION, header)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn a_token_elsewhere_does_not_count() {
    let app = App::new().await;
    let good = app.welcome("ada@example.org").await.access;
    let path = format!("/auth/me?access_token={good}");
    let answer = app.get(&path).send().await;
    assert_eq!(answer.problem(), (401, "missing_token".to_owned()));
}

#[tokio::test]
async fn no_route_takes_a_refresh_token_for_an_access_token() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let answer = app.me(&tokens.refresh).await;
    assert_eq!(answer.problem(), (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn every_route_of_a_signed_in_user_asks_for_a_token_before_it_reads_anything_else() {
    let app = App::new().await;
    for (method, path) in [
        ("GET", "/auth/me"),
        ("PATCH", "/auth/me"),
        ("DELETE", "/auth/me"),
        ("POST", "/auth/password/change"),
        ("GET", "/auth/sessions?limit=x"),
        ("DELETE", "/auth/sessions/x"),
    ] {
        let method: http::Method = method.parse().unwrap();
        let answer = app.request(method.clone(), path).send().await;
        assert_eq!(
            answer.problem(),
            (401, "missing_token".to_owned()),
            "{method} {path}"
        );
        let answer = app.request(method, path).bearer("x").send().await;
        assert_eq!(
            answer.problem(),
            (401, "invalid_token".to_owned()),
            "{path}"
        );
    }
}
