//! From the claim code to a machine with a certificate, by the routes that pages use.

mod support;

use alfarid_daemon::enrolment::EnrolRequest;
use alfarid_protocol::token::SiteToken;
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use support::{Browser, TestBox, claim_form};

/// A new machine's request with the secret of `token`.
fn request(token: &SiteToken) -> EnrolRequest {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    EnrolRequest {
        secret: URL_SAFE_NO_PAD.encode(token.secret),
        csr_pem: CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap(),
        name: "pc-01".to_owned(),
        agent_version: "0.1.0".to_owned(),
        address: [10, 0, 0, 21].into(),
    }
}

async fn first_room(admin: &mut Browser) -> Value {
    let rooms = admin.get("/api/v1/rooms").await.expect(StatusCode::OK);
    rooms["items"][0]["id"].clone()
}

async fn token(admin: &mut Browser, uses: u32) -> SiteToken {
    let form = json!({
        "room_id": first_room(admin).await, "uses": uses, "expires_in_seconds": 3600,
    });
    let made = admin.post("/api/v1/site_tokens", form).await.expect(StatusCode::CREATED);
    made["token"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_claimed_box_lets_a_machine_in_by_a_token() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    assert_eq!(token.root_spki_sha256, school.enrolment.site().unwrap().root_spki_sha256);

    let issued = school.enrolment.enrol(request(&token)).await.unwrap();
    assert!(issued.chain_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    let rooms = admin.get("/api/v1/rooms").await.expect(StatusCode::OK);
    assert_eq!(rooms["items"][0]["machine_count"], 1);
}

#[tokio::test]
async fn a_box_is_claimed_once_by_whoever_reads_its_code() {
    let school = TestBox::new().await;
    let mut page = school.browser();
    let state = page.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!((&state["claimed"], &state["session"]), (&json!(false), &json!(null)));

    let wrong = page.post("/api/v1/claim", claim_form("AAAAA-AAAAA")).await;
    assert_eq!(wrong.refused(), (403, "claim_code_wrong".to_owned()));

    let code = school.claim_code();
    let me = page.post("/api/v1/claim", claim_form(&code)).await.expect(StatusCode::CREATED);
    assert_eq!((&me["role"], &me["language"]), (&json!("admin"), &json!("ru")));
    let state = page.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!((&state["claimed"], &state["site_name"]), (&json!(true), &json!("School 7")));
    assert_eq!(state["session"], me);

    let again = school.browser().post("/api/v1/claim", claim_form(&code)).await;
    assert_eq!(again.refused(), (409, "already_claimed".to_owned()));
    assert!(!school.path().join("claim-code").exists());
}
