//! A client that works without a pause and remembers what it was promised.

use countersign_tests::random::unique;
use countersign_tests::{Answer, Api, Random, Tokens};
use serde_json::{Value, json};

/// What a client has sent and got no answer to.
#[derive(Debug, Clone)]
enum InFlight {
    Nothing,
    /// Two registrations of one address at once, and which of them got its 201.
    Register {
        passwords: [String; 2],
        acknowledged: Option<usize>,
    },
    SignIn,
    Refresh {
        session: Tokens,
    },
    Logout {
        session: Tokens,
    },
    ChangePassword {
        new: String,
        other: Tokens,
    },
}

impl InFlight {
    fn name(&self) -> &'static str {
        match self {
            InFlight::Nothing => "nothing",
            InFlight::Register { .. } => "register",
            InFlight::SignIn => "sign-in",
            InFlight::Refresh { .. } => "refresh",
            InFlight::Logout { .. } => "logout",
            InFlight::ChangePassword { .. } => "change password",
        }
    }
}

/// A client and what it knows for certain.
pub(crate) struct Client {
    random: Random,
    /// Empty before the first registration.
    email: String,
    password: String,
    session: Option<Tokens>,
    /// Refresh tokens of the session that were exchanged, oldest first.
    exchanged: Vec<String>,
    /// Sessions that were ended.
    ended: Vec<Tokens>,
    in_flight: InFlight,
}

/// The server is gone.
struct Gone;

impl Client {
    pub(crate) fn new(random: Random) -> Client {
        Client {
            random,
            email: String::new(),
            password: String::new(),
            session: None,
            exchanged: Vec::new(),
            ended: Vec::new(),
            in_flight: InFlight::Nothing,
        }
    }

    pub(crate) fn email(&self) -> &str {
        &self.email
    }

    /// What it has sent and got no answer to.
    pub(crate) fn doing(&self) -> &'static str {
        self.in_flight.name()
    }

    /// Works until the server is gone.
    pub(crate) async fn work(&mut self, api: &Api) {
        while self.step(api).await.is_ok() {}
    }

    async fn step(&mut self, api: &Api) -> Result<(), Gone> {
        let Some(session) = self.session.clone() else {
            return if self.email.is_empty() {
                self.register(api).await
            } else {
                self.sign_in(api).await
            };
        };
        match self.random.below(10) {
            0..4 => self.refresh(api, session).await,
            4..6 => self.logout(api, session).await,
            6..9 => self.change_password(api, session).await,
            _ => self.register(api).await,
        }
    }

    async fn register(&mut self, api: &Api) -> Result<(), Gone> {
        self.email = format!("{}@example.com", unique());
        self.session = None;
        self.exchanged.clear();
        let passwords = [
            format!("first {}", unique()),
            format!("second {}", unique()),
        ];
        self.in_flight = InFlight::Register {
            passwords: passwords.clone(),
            acknowledged: None,
        };
        let (first, second) = tokio::join!(
            answer(
                api,
                "/auth/register",
                json!({"email": self.email, "password": passwords[0]}),
                None
            ),
            answer(
                api,
                "/auth/register",
                json!({"email": self.email, "password": passwords[1]}),
                None
            ),
        );
        let statuses =
            [&first, &second].map(|answer| answer.as_ref().map(|answer| answer.status).ok());
        let acknowledged = statuses.iter().position(|status| *status == Some(201));
        self.in_flight = InFlight::Register {
            passwords: passwords.clone(),
            acknowledged,
        };
        let (Some(a), Some(b)) = (statuses[0], statuses[1]) else {
            return Err(Gone);
        };
        assert_eq!(
            [a.min(b), a.max(b)],
            [201, 409],
            "two registrations of one address"
        );
        self.password = passwords[acknowledged.expect("one is 201")].clone();
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    async fn sign_in(&mut self, api: &Api) -> Result<(), Gone> {
        self.in_flight = InFlight::SignIn;
        let body = json!({"email": self.email, "password": self.password});
        self.session = Some(answer(api, "/auth/login", body, None).await?.tokens());
        self.exchanged.clear();
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    async fn refresh(&mut self, api: &Api, session: Tokens) -> Result<(), Gone> {
        self.in_flight = InFlight::Refresh {
            session: session.clone(),
        };
        let tokens = answer(
            api,
            "/auth/refresh",
            json!({"refresh_token": session.refresh}),
            None,
        )
        .await?
        .tokens();
        assert_ne!(tokens.refresh, session.refresh);
        self.exchanged.push(session.refresh);
        self.session = Some(tokens);
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    async fn logout(&mut self, api: &Api, session: Tokens) -> Result<(), Gone> {
        self.in_flight = InFlight::Logout {
            session: session.clone(),
        };
        self.session = None;
        answer(
            api,
            "/auth/logout",
            json!({"refresh_token": session.refresh}),
            None,
        )
        .await?
        .expect(204);
        self.ended.push(session);
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    /// Changes the password, with a second session that this must end.
    async fn change_password(&mut self, api: &Api, session: Tokens) -> Result<(), Gone> {
        self.in_flight = InFlight::SignIn;
        let body = json!({"email": self.email, "password": self.password});
        let other = answer(api, "/auth/login", body, None).await?.tokens();
        let new = format!("changed {}", unique());
        self.in_flight = InFlight::ChangePassword {
            new: new.clone(),
            other: other.clone(),
        };
        let body = json!({"current_password": self.password, "new_password": new});
        answer(api, "/auth/password/change", body, Some(&session.access))
            .await?
            .expect(204);
        self.password = new;
        self.ended.push(other);
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    /// Checks everything this client was promised, and finishes what was interrupted.
    pub(crate) async fn check(&mut self, api: &Api) {
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Nothing => {}
            InFlight::SignIn => {
                api.login(&self.email, &self.password).await.expect(200);
            }
            InFlight::Register {
                passwords,
                acknowledged,
            } => self.check_register(api, passwords, acknowledged).await,
            InFlight::Refresh { session } => self.check_refresh(api, session).await,
            InFlight::Logout { session } => {
                api.logout(&session.refresh).await.expect(204);
                self.ended.push(session);
            }
            InFlight::ChangePassword { new, other } => self.check_change(api, new, other).await,
        }
        for session in &self.ended {
            assert_dead(api, session).await;
        }
        // Each costs two requests a round.
        let surplus = self.ended.len().saturating_sub(10);
        self.ended.drain(..surplus);
        if let Some(session) = self.session.clone() {
            assert_eq!(
                api.me(&session.access).await.expect(200)["email"],
                self.email
            );
            self.check_exchanged(api, session).await;
        }
    }

    async fn check_register(
        &mut self,
        api: &Api,
        passwords: [String; 2],
        acknowledged: Option<usize>,
    ) {
        let mut works = [false; 2];
        for (works, password) in works.iter_mut().zip(&passwords) {
            *works = login_works(api, &self.email, password).await;
        }
        let winner = match (works, acknowledged) {
            ([true, true], _) => panic!("one address, two passwords"),
            ([false, false], Some(_)) => {
                panic!("the acknowledged user {} cannot sign in", self.email)
            }
            ([false, false], None) => {
                api.register(&self.email, &passwords[0]).await.expect(201);
                0
            }
            ([first, _], _) => {
                api.register(&self.email, "yet another password")
                    .await
                    .expect_problem(409, "email_taken");
                usize::from(!first)
            }
        };
        assert!(
            acknowledged.is_none_or(|acknowledged| acknowledged == winner),
            "another registration won afterwards"
        );
        self.password = passwords[winner].clone();
    }

    async fn check_refresh(&mut self, api: &Api, session: Tokens) {
        let successor = api.refresh(&session.refresh).await.tokens();
        self.exchanged.push(session.refresh);
        self.session = Some(successor);
    }

    /// The last exchanged token gives the known successor again, the one before it ends the session.
    async fn check_exchanged(&mut self, api: &Api, session: Tokens) {
        let Some(last) = self.exchanged.last() else {
            return;
        };
        assert_eq!(
            api.refresh(last).await.tokens().refresh,
            session.refresh,
            "a second branch"
        );
        if self.exchanged.len() < 2 {
            return;
        }
        let older = self.exchanged[self.exchanged.len() - 2].clone();
        api.refresh(&older)
            .await
            .expect_problem(401, "refresh_token_reused");
        assert_dead(api, &session).await;
        self.ended.push(session);
        self.session = None;
    }

    async fn check_change(&mut self, api: &Api, new: String, other: Tokens) {
        let with_old = login_works(api, &self.email, &self.password).await;
        let with_new = login_works(api, &self.email, &new).await;
        assert_ne!(with_old, with_new, "exactly one password signs in");
        let session = self
            .session
            .clone()
            .expect("the password is changed within a session");
        if with_old {
            assert_eq!(
                api.me(&other.access).await.status,
                200,
                "half a password change"
            );
            api.change_password(&session.access, &self.password, &new)
                .await
                .expect(204);
        }
        self.password = new;
        self.ended.push(other);
    }
}

async fn answer(api: &Api, path: &str, body: Value, token: Option<&str>) -> Result<Answer, Gone> {
    let mut request = api.request(reqwest::Method::POST, path).json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Api::try_send(request).await.map_err(|_| Gone)
}

async fn login_works(api: &Api, email: &str, password: &str) -> bool {
    let answer = api.login(email, password).await;
    if answer.status != 200 {
        answer.expect_problem(401, "invalid_credentials");
    }
    answer.status == 200
}

async fn assert_dead(api: &Api, session: &Tokens) {
    assert_eq!(
        api.refresh(&session.refresh).await.status,
        401,
        "the refresh token of an ended session"
    );
    assert_eq!(
        api.me(&session.access).await.status,
        401,
        "the access token of an ended session"
    );
}
