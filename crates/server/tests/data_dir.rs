//! The data folder and its root secret, on a real file system.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;

use countersign_server::data_dir::{self, DataDirError, ROOT_SECRET_FILE};
use countersign_server::exit::Exit;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// 32 bytes that differ from one `seed` to the next and are no pattern.
fn bytes(seed: u8) -> [u8; 32] {
    let mut state = u32::from(seed).wrapping_add(0x9e37_79b9);
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
}

#[test]
fn a_missing_folder_is_made_for_its_owner_alone() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("a/b");
    data_dir::prepare(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    data_dir::prepare(&folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = data_dir::prepare(&file.join("folder")).unwrap_err();
    assert!(
        error.to_string().contains("cannot make the data folder"),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Failure);
}

#[test]
fn the_secret_is_made_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    assert!(data_dir::read(folder.path()).unwrap().is_none());
    let made = data_dir::read_or_make(folder.path(), bytes(1)).unwrap();
    assert_eq!(made.len(), 64);
    assert_eq!(mode(&folder.path().join(ROOT_SECRET_FILE)), 0o600);
    assert_eq!(
        data_dir::read_or_make(folder.path(), bytes(2)).unwrap(),
        made
    );
    assert_eq!(data_dir::read(folder.path()).unwrap(), Some(made));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no draft is left"
    );
}

#[test]
fn eight_at_once_agree_on_one_secret() {
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        // A crash of an earlier start left its draft.
        fs::write(folder.path().join(".root-secret.0"), "half").unwrap();
        let barrier = Barrier::new(8);
        let secrets: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let (folder, barrier) = (folder.path(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        let secret = data_dir::read_or_make(folder, bytes(round * 8 + number));
                        secret.unwrap().expose().to_owned()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(secrets.len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    data_dir::read_or_make(folder.path(), bytes(1)).unwrap();
    let file = folder.path().join(ROOT_SECRET_FILE);
    for open in [0o640, 0o604, 0o620, 0o602, 0o610] {
        fs::set_permissions(&file, fs::Permissions::from_mode(open)).unwrap();
        let error = data_dir::read_or_make(folder.path(), bytes(2)).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("run `chmod 600 {}`", file.display())),
            "{error}"
        );
        assert_eq!(error.exit(), Exit::NotPermitted);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    data_dir::read_or_make(folder.path(), bytes(2)).unwrap();
}

#[test]
fn a_file_that_is_no_secret_is_refused_and_kept() {
    for content in [
        "",
        "kq3v9T0xPz",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "changeme-changeme-changeme-changeme",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(ROOT_SECRET_FILE);
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let error = data_dir::read_or_make(folder.path(), bytes(1)).unwrap_err();
        assert!(matches!(error, DataDirError::Content { .. }), "{error:?}");
        assert!(
            content.is_empty() || !error.to_string().contains(content),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(ROOT_SECRET_FILE)).unwrap();
    assert!(data_dir::read_or_make(folder.path(), bytes(1)).is_err());
}
