//! Access tokens and refresh tokens that were cut, changed, or put where they do not belong.

use countersign_tests::raw::{exchange, status};
use countersign_tests::{Api, Backend, Server, Tokens};
use reqwest::Method;

const PASSWORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_authorization_is_401() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let Tokens { access, refresh } = api.new_session("ada@example.com", PASSWORD).await;
    let parts: Vec<&str> = access.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let headers: Vec<String> = [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "bearer",
        "Basic",
        "Basic YTpi",
        "Basic !!!",
        "Digest a=b",
        "Bearer\t",
        "Bearer a",
        "Bearer .",
        "Bearer ..",
        "Bearer ...",
        "Bearer ....",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer a.b.c.d.e",
        "Bearer null",
        "Bearer undefined",
        "Bearer =",
        "Bearer \"\"",
        "Bearer {}",
        "Bearer a b",
        "Bearer,",
        "Bearer a,b",
        "Token abc",
        "BearerX",
        "Bearer \u{e4}",
        "Bearer %00",
        "Bearer ../../etc/passwd",
        "Bearer ' OR 1=1 --",
    ]
    .iter()
    .map(ToString::to_string)
    .chain([
        access.clone(),
        format!("Bearer{access}"),
        format!("Basic {access}"),
        format!("Bearer {access}."),
        format!("Bearer .{access}"),
        format!("Bearer {access}="),
        format!("Bearer {access} x"),
        format!("Bearer {head}.{claims}"),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {none}.{claims}."),
        format!("Bearer {none}.{claims}.{signature}"),
        format!("Bearer {claims}.{head}.{signature}"),
        format!(
            "Bearer {head}.{claims}.{}",
            &signature[..signature.len() - 2]
        ),
        format!("Bearer {head}.{claims}.{signature}AA"),
        format!("Bearer {refresh}"),
        format!("Bearer {}", access.to_uppercase()),
        format!("Bearer {}", ".".repeat(4000)),
        format!("Bearer {}", "a".repeat(4000)),
    ])
    .collect();
    assert!(headers.len() >= 40);
    for header in headers {
        let request = format!(
            "GET /auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
        );
        let answer = exchange(server.address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{header}: {answer}");
        let challenge = answer
            .lines()
            .find(|line| line.to_lowercase().starts_with("www-authenticate: bearer"));
        assert!(challenge.is_some(), "{header}: {answer}");
    }
    let twice = format!(
        "GET /auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {access}\r\nAuthorization: Bearer {access}\r\n\r\n"
    );
    assert!(
        matches!(
            status(server.address(), twice.as_bytes()).await,
            Some(400 | 401)
        ),
        "two headers"
    );
    api.me(&access).await.expect(200);
    // RFC 9110, section 11.1: the scheme is case-insensitive.
    Api::send(
        api.request(Method::GET, "/auth/me")
            .header("authorization", format!("bEARER {access}")),
    )
    .await
    .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_a_refresh_token_is_refused() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let token = api.new_session("ada@example.com", PASSWORD).await.refresh;
    let mut changed: Vec<String> = (0..token.len())
        .map(|length| token[..length].to_owned())
        .collect();
    changed.extend((1..token.len()).map(|start| token[start..].to_owned()));
    changed.extend((0..token.len()).map(|at| {
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    changed.extend([
        token.to_uppercase(),
        token.to_lowercase(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
    ]);
    for token in changed {
        let answer = api.refresh(&token).await;
        assert!(
            matches!(answer.status, 401 | 422),
            "{token}: {}",
            answer.text
        );
    }
    api.refresh(&token).await.expect(200);
}
