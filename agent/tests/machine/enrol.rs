//! Enrolment, by the real binary against a real TLS server with real certificates.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    token::SiteToken,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use tempfile::TempDir;

use crate::{
    process::{enrol, message},
    site::{NOWADAYS, SECRET, Site, Years, is_key_of},
    the_box::{BOX, MACHINE, TheBox, enrolled},
};

/// A box of `site` that answers the first `Enrol` by `answer`, which gets the request's CSR.
struct EnrollingBox {
    address: String,
    answered: tokio::task::JoinHandle<()>,
}

impl EnrollingBox {
    async fn start(
        site: &Site,
        usage: ExtendedKeyUsagePurpose,
        answer: impl Fn(&str) -> FromBox + Send + 'static,
    ) -> Self {
        let mut the_box = TheBox::listen(site.server_config(usage)).await;
        let address = the_box.address.clone();
        let answered = tokio::spawn(async move {
            let mut connection = the_box.connection().await;
            assert!(!connection.has_certificate);
            let request = connection.receive().await;
            let FromMachine::Enrol { secret, csr_pem, .. } = request else { panic!("{request:?}") };
            assert_eq!(secret, URL_SAFE_NO_PAD.encode(SECRET));
            connection.send(&answer(&csr_pem)).await;
            while connection.try_receive().await.is_some() {}
        });
        Self { address, answered }
    }
}

fn nothing_is_written(state: &Path) -> bool {
    !state.exists() || fs::read_dir(state).unwrap().next().is_none()
}

fn state_of(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("state")
}

async fn enrol_at_a_good_box(years: Years, state: &Path, arguments: &[&str]) -> Output {
    let site = std::sync::Arc::new(Site::new(years));
    let issuer = std::sync::Arc::clone(&site);
    let the_box = EnrollingBox::start(&site, ExtendedKeyUsagePurpose::ServerAuth, move |csr| {
        enrolled(&issuer, csr)
    })
    .await;
    let output = enrol(state, &site.token(&[the_box.address]), arguments).await;
    the_box.answered.await.unwrap();
    output
}

#[tokio::test]
async fn a_machine_with_a_good_token_is_enrolled() {
    let dir = tempfile::tempdir().unwrap();
    let state = state_of(&dir);
    let output = enrol_at_a_good_box(NOWADAYS, &state, &[]).await;
    assert!(output.status.success(), "{}", message(&output));

    let identity = state.join("identity");
    let read = |name: &str| fs::read_to_string(identity.join(name)).unwrap();
    assert!(is_key_of(&read("key.pem"), &read("chain.pem")));
    assert!(read("box.json").contains(&MACHINE.to_string()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [&state, &identity] {
        assert_eq!(mode(folder), 0o700);
    }
    for entry in fs::read_dir(&identity).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no temporary folder is left");
}

/// A box whose clock stood at 1970 when it was claimed: the machine's clock must not matter.
#[tokio::test]
async fn certificates_of_1970_are_as_good_as_any() {
    for years in [(1970, 1971), (2030, 2031)] {
        let dir = tempfile::tempdir().unwrap();
        let output = enrol_at_a_good_box(years, &state_of(&dir), &[]).await;
        assert!(output.status.success(), "{years:?}: {}", message(&output));
    }
}

#[tokio::test]
async fn a_box_of_another_site_learns_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Site::new(NOWADAYS), Site::new(NOWADAYS));
    let tls = other.server_config(ExtendedKeyUsagePurpose::ServerAuth);
    let mut the_box = TheBox::listen(tls).await;
    let token = ours.token(&[the_box.address.clone()]);
    let output = enrol(&state_of(&dir), &token, &[]).await;
    assert!(!output.status.success());
    assert!(message(&output).contains("belongs to another site"), "{}", message(&output));
    assert!(the_box.nobody_has_connected(), "the secret was never said");
    assert!(nothing_is_written(&state_of(&dir)));
}

#[tokio::test]
async fn a_certificate_that_is_not_for_a_server_is_no_box() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(NOWADAYS);
    let tls = site.server_config(ExtendedKeyUsagePurpose::ClientAuth);
    let mut the_box = TheBox::listen(tls).await;
    let token = site.token(&[the_box.address.clone()]);
    let output = enrol(&state_of(&dir), &token, &[]).await;
    assert!(!output.status.success());
    assert!(message(&output).contains("is no box's"), "{}", message(&output));
    assert!(the_box.nobody_has_connected());
    assert!(nothing_is_written(&state_of(&dir)));
}

#[tokio::test]
async fn each_refusal_says_what_to_do_and_changes_nothing() {
    for (code, advice) in [
        (RefusalCode::TokenExpired, "expired; make a new one"),
        (RefusalCode::TokenUsedUp, "used up; make a new one"),
        (RefusalCode::TokenUnknown, "does not know this token"),
        (RefusalCode::AgentTooOld, "update alfarid-agent"),
        (RefusalCode::BoxTooOld, "update the box"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(NOWADAYS);
        let refuse = move |_: &str| FromBox::Refused { code, detail: "because".into() };
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let the_box = EnrollingBox::start(&site, usage, refuse).await;
        let output = enrol(&state_of(&dir), &site.token(&[the_box.address]), &[]).await;
        assert!(!output.status.success());
        assert!(message(&output).contains(advice), "{}", message(&output));
        assert!(message(&output).contains("because"), "{}", message(&output));
        assert!(nothing_is_written(&state_of(&dir)));
    }
}

#[tokio::test]
async fn a_certificate_for_another_key_or_from_another_site_is_not_kept() {
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let stranger = KeyPair::generate().unwrap();
    let other_csr =
        rcgen::CertificateParams::default().serialize_request(&stranger).unwrap().pem().unwrap();
    for another_site in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(NOWADAYS);
        let issuer = Site::new(NOWADAYS);
        let answer = if another_site {
            let (root_pem, csr) = (site.root_pem(), other_csr.clone());
            let chain_pem = issuer.machine_chain(&csr);
            FromBox::Enrolled { machine: MACHINE, box_id: BOX, chain_pem, root_pem }
        } else {
            enrolled(&site, &other_csr)
        };
        let the_box = EnrollingBox::start(&site, usage.clone(), move |_| answer.clone()).await;
        let output = enrol(&state_of(&dir), &site.token(&[the_box.address]), &[]).await;
        assert!(!output.status.success());
        assert!(message(&output).contains("cannot be used"), "{}", message(&output));
        assert!(nothing_is_written(&state_of(&dir)));
    }
}

#[tokio::test]
async fn a_silent_address_is_passed_by_and_no_address_at_all_is_said() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::new(NOWADAYS);
    let output = enrol(&state_of(&dir), &site.token(&[free.to_string()]), &[]).await;
    assert!(message(&output).contains("no box answers at 127.0.0.1"), "{}", message(&output));
    let output = enrol(&state_of(&dir), &site.token(&[]), &[]).await;
    assert!(message(&output).contains("--box HOST:PORT"), "{}", message(&output));
    assert!(nothing_is_written(&state_of(&dir)));

    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let site = std::sync::Arc::new(site);
    let issuer = std::sync::Arc::clone(&site);
    let the_box = EnrollingBox::start(&site, usage, move |csr| enrolled(&issuer, csr)).await;
    let token = site.token(&[free.to_string(), the_box.address]);
    let output = enrol(&state_of(&dir), &token, &[]).await;
    assert!(output.status.success(), "{}", message(&output));
}

#[tokio::test]
async fn a_token_file_is_deleted_once_it_has_served_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let write = |token: &SiteToken| {
        fs::write(&path, token.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let site = std::sync::Arc::new(Site::new(NOWADAYS));
    let arguments = ["--token-file", path.to_str().unwrap()];
    write(&site.token(&[]));
    let output = enrol(&state_of(&dir), &site.token(&[]), &arguments).await;
    assert!(!output.status.success());
    assert!(path.exists());

    let issuer = std::sync::Arc::clone(&site);
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let the_box = EnrollingBox::start(&site, usage, move |csr| enrolled(&issuer, csr)).await;
    write(&site.token(&[the_box.address]));
    let output = enrol(&state_of(&dir), &site.token(&[]), &arguments).await;
    assert!(output.status.success(), "{}", message(&output));
    assert!(!path.exists());
}

#[tokio::test]
async fn an_enrolled_machine_is_enrolled_anew_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let state = state_of(&dir);
    assert!(enrol_at_a_good_box(NOWADAYS, &state, &[]).await.status.success());
    let key = || fs::read_to_string(state.join("identity/key.pem")).unwrap();
    let first = key();
    let output = enrol(&state, &Site::new(NOWADAYS).token(&["127.0.0.1:1".into()]), &[]).await;
    assert!(message(&output).contains("--again"), "{}", message(&output));
    assert_eq!(key(), first);
    assert!(enrol_at_a_good_box(NOWADAYS, &state, &["--again"]).await.status.success());
    assert_ne!(key(), first);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
}
