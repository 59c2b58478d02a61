//! The form of a vector file. `vectors/README.md` explains it to other languages.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sorted, so that the text does not depend on the features that another crate turns on in `serde_json`.
pub(super) type Members = BTreeMap<String, Value>;

#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(skip)]
    pub(super) file: String,
    pub(super) about: String,
    pub(super) format: u32,
    pub(super) keys: Keys,
    pub(super) settings: Settings,
    pub(super) now: i64,
    pub(super) cases: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) jwks: BTreeMap<String, Vec<Members>>,
    pub(super) hs256: Vec<Secret>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) kid: String,
    pub(super) secret_base64url: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) leeway_seconds: u32,
    pub(super) max_lifetime_seconds: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) claims: Option<Members>,
    pub(super) token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Accept,
    Refuse,
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(file)
}

impl Document {
    pub(super) fn read_text(file: &str) -> String {
        fs::read_to_string(path(file)).unwrap_or_default()
    }

    pub(super) fn read(file: &str) -> Self {
        let document = serde_json::from_str(&Self::read_text(file)).unwrap();
        Self {
            file: file.into(),
            ..document
        }
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }

    pub(super) fn write(&self) {
        fs::create_dir_all(path("")).unwrap();
        fs::write(path(&self.file), self.to_text()).unwrap();
    }
}
