//! From the claim code to a machine with a certificate, by the routes that pages use and by real
//! TLS.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::time::Duration;

use alfarid_daemon::{
    db::DbError,
    enrolment::{EnrolRequest, Error, MachineChange, Newcomer},
    events::Event,
    health::FaultCode,
};
use alfarid_protocol::{control::RefusalCode, id::MachineId, time::Timestamp, token::SiteToken};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use support::{
    Browser, MORNING, TestBox, claim_form,
    machine::{Machine, request, shown, year},
};

const PASSPHRASE: &str = "a long enough passphrase";

/// How long a test waits for what must come: only ever used up by a failing test.
const PATIENCE: Duration = Duration::from_secs(15);

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

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> RefusalCode {
    result.unwrap_err().refusal()
}

#[tokio::test]
async fn a_claimed_box_lets_a_machine_in_by_a_token() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);

    // Without a certificate it gets as far as asking for one.
    let stranger = machine.connect(&school.enrolment, year(2027), year(2027)).await.unwrap();
    assert_eq!(stranger, None);
    let issued = machine.enrol(&school.enrolment, &token).await.unwrap();
    let seen = machine.connect(&school.enrolment, year(2027), year(2027)).await.unwrap();
    assert_eq!(seen, Some(machine.spki_sha256()));
    let known = school.enrolment.machine_of_key(seen.unwrap()).await.unwrap().unwrap();
    assert_eq!(known.id, issued.machine);
    assert!(known.is_approved && !known.is_revoked);
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

#[tokio::test]
async fn five_wrong_claim_codes_make_that_address_wait_and_no_other() {
    let school = TestBox::new().await;
    let mut guesser = school.browser_at("10.0.0.66:1234");
    for _ in 0..5 {
        let wrong = guesser.post("/api/v1/claim", claim_form("AAAAA-AAAAA")).await;
        assert_eq!(wrong.refused().1, "claim_code_wrong");
    }
    let right = claim_form(&school.claim_code());
    assert_eq!(
        guesser.post("/api/v1/claim", right.clone()).await.refused(),
        (429, "slow_down".to_owned())
    );
    school.browser().post("/api/v1/claim", right).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn of_two_claims_at_once_one_wins() {
    let school = TestBox::new().await;
    let form = claim_form(&school.claim_code());
    let (mut one, mut other) = (school.browser(), school.browser());
    let mut rival = form.clone();
    rival["email"] = json!("rival@school.example");
    let (one, other) =
        tokio::join!(one.post("/api/v1/claim", form), other.post("/api/v1/claim", rival));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

/// Fails when a claim that could not be written down whole leaves an admin, and so a box that can
/// neither be claimed again nor used.
#[tokio::test]
async fn a_claim_that_fails_half_way_can_be_made_again() {
    let school = TestBox::new().await;
    let mut page = school.browser();
    let form = claim_form(&school.claim_code());
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END";
    execute(&school, full).await;
    let failed = page.post("/api/v1/claim", form.clone()).await;
    assert_eq!(failed.refused(), (500, "internal".to_owned()));

    execute(&school, "DROP TRIGGER full").await;
    page.post("/api/v1/claim", form).await.expect(StatusCode::CREATED);
}

async fn execute(school: &TestBox, sql: &'static str) {
    let executed = school.floor.db.write(move |tx| Ok::<_, DbError>(tx.execute_batch(sql)?));
    executed.await.unwrap();
}

#[tokio::test]
async fn a_wrong_expired_or_used_up_token_is_refused_by_name_and_lets_nobody_in() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let good = token(&mut admin, 1).await;
    let site = &school.enrolment;

    let forged = SiteToken { secret: [7; 16], ..good.clone() };
    let mut machine = Machine::new(&good);
    assert_eq!(refusal(machine.enrol(site, &forged).await), RefusalCode::TokenUnknown);

    machine.enrol(site, &good).await.unwrap();
    let late = Machine::new(&good);
    assert_eq!(refusal(site.enrol(late.request(&good)).await), RefusalCode::TokenUsedUp);
    let known = site.machine_of_key(late.spki_sha256()).await.unwrap();
    assert_eq!(known, None);

    let short = token(&mut admin, 5).await;
    school.floor.clock.advance(Duration::from_secs(3601));
    assert_eq!(refusal(site.enrol(late.request(&short)).await), RefusalCode::TokenExpired);

    let list = admin.get("/api/v1/site_tokens").await.expect(StatusCode::OK);
    let uses: Vec<_> = list["items"].as_array().unwrap().iter().map(|t| &t["uses_left"]).collect();
    assert!(uses.contains(&&json!(0)) && uses.contains(&&json!(5)), "{list}");
    assert!(!list.to_string().contains("alfarid1."));
}

#[tokio::test]
async fn a_token_that_was_taken_back_lets_nobody_in() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let good = token(&mut admin, 5).await;
    let list = admin.get("/api/v1/site_tokens").await.expect(StatusCode::OK);
    let path = format!("/api/v1/site_tokens/{}", list["items"][0]["id"].as_str().unwrap());
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.delete(&path).await.refused(), (404, "no_such_token".to_owned()));
    let machine = Machine::new(&good);
    let refused = school.enrolment.enrol(machine.request(&good)).await;
    assert_eq!(refusal(refused), RefusalCode::TokenUnknown);
}

/// Fails when two machines get in by a token for one.
#[tokio::test]
async fn a_token_for_one_lets_one_of_two_in() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let (one, other) = (Machine::new(&token), Machine::new(&token));
    let (one, other) = tokio::join!(
        school.enrolment.enrol(one.request(&token)),
        school.enrolment.enrol(other.request(&token)),
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
}

#[tokio::test]
async fn a_machine_without_a_name_gets_in_all_the_same() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let machine = Machine::new(&token);
    let nameless = EnrolRequest { name: " \n".to_owned(), ..machine.request(&token) };
    school.enrolment.enrol(nameless).await.unwrap();
    let known = school.enrolment.machine_of_key(machine.spki_sha256()).await.unwrap();
    assert_eq!(known.unwrap().name, "10.0.0.21");
}

/// Its first answer was lost on the way; the token for one machine is enough for it.
#[tokio::test]
async fn a_machine_that_asks_again_with_the_same_key_is_the_same_machine() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);
    let first = machine.enrol(&school.enrolment, &token).await.unwrap();
    let second = machine.enrol(&school.enrolment, &token).await.unwrap();
    assert_eq!(first.machine, second.machine);
    machine.connect(&school.enrolment, year(2027), year(2027)).await.unwrap();

    let admin_id = school.identity.teachers().await.unwrap()[0].id;
    school.enrolment.revoke_machine(admin_id, first.machine).await.unwrap();
    let refused = machine.enrol(&school.enrolment, &token).await;
    assert_eq!(refusal(refused), RefusalCode::MachineRevoked);
}

#[tokio::test]
async fn a_request_that_is_none_of_a_p256_key_is_refused_and_costs_no_use() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let refused = school.enrolment.enrol(request(&token, &key)).await;
        assert_eq!(refusal(refused), RefusalCode::BadRequest);
    }
    let machine = Machine::new(&token);
    let mut forged = machine.request(&token);
    let other = Machine::new(&token).request(&token);
    // The one's body with the other's signature.
    let (body, signature) = (der(&forged.csr_pem), der(&other.csr_pem));
    let cut = body.len() - 70;
    let mixed = [&body[..cut], &signature[signature.len() - 70..]].concat();
    forged.csr_pem = pem(&mixed);
    assert_eq!(refusal(school.enrolment.enrol(forged).await), RefusalCode::BadRequest);
    let mut nonsense = machine.request(&token);
    nonsense.csr_pem = "hello".to_owned();
    assert_eq!(refusal(school.enrolment.enrol(nonsense).await), RefusalCode::BadRequest);
    school.enrolment.enrol(machine.request(&token)).await.unwrap();
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}

/// Fails when any decision of trust asks a calendar, on either side.
#[tokio::test]
async fn no_date_decides() {
    // A box that believes it is 1970 claims, issues and serves.
    let school = TestBox::at(Timestamp(0)).await;
    let mut form = claim_form(&school.claim_code());
    form["browser_time"] = json!(0);
    let mut admin = school.browser();
    admin.post("/api/v1/claim", form).await.expect(StatusCode::CREATED);
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);
    machine.enrol(&school.enrolment, &token).await.unwrap();
    for (here, there) in [(2031, 1970), (1970, 2031), (2027, 2027), (1971, 1970)] {
        let seen = machine.connect(&school.enrolment, year(here), year(there)).await;
        assert_eq!(seen.unwrap(), Some(machine.spki_sha256()), "{here} to {there}");
    }
    // A hundred days off, and the box as it was a hundred days ago.
    let school = school.restarted(Timestamp(100 * 86_400_000)).await;
    let seen = machine.connect(&school.enrolment, year(1970), year(1970)).await;
    assert_eq!(seen.unwrap(), Some(machine.spki_sha256()));
    let school = school.restarted(MORNING).await;
    let seen = machine.connect(&school.enrolment, year(2031), year(1970)).await;
    assert_eq!(seen.unwrap(), Some(machine.spki_sha256()));
}

#[tokio::test]
async fn a_machine_moves_to_a_second_box_of_its_site_and_to_no_other() {
    let first = TestBox::new().await;
    let mut admin = first.claimed().await;
    let own_token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&own_token);
    machine.enrol(&first.enrolment, &own_token).await.unwrap();

    let export = json!({ "passphrase": PASSPHRASE });
    let file = admin.post("/api/v1/site/export", export).await;
    assert_eq!(file.status, StatusCode::OK);
    let second = TestBox::new().await;
    let mut form = claim_form(&second.claim_code());
    form["site_file"] = json!(STANDARD.encode(&file.body));
    form["passphrase"] = json!(PASSPHRASE);
    let mut other_admin = second.browser();
    other_admin.post("/api/v1/claim/join", form).await.expect(StatusCode::CREATED);
    let state = other_admin.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!(state["site_name"], "School 7");

    let seen = machine.connect(&second.enrolment, year(2027), year(2027)).await.unwrap();
    assert_eq!(seen, Some(machine.spki_sha256()));
    // And what the second box issues is good at the first.
    let token_there = token(&mut other_admin, 1).await;
    assert_eq!(token_there.root_spki_sha256, own_token.root_spki_sha256);
    let mut there = Machine::new(&token_there);
    there.enrol(&second.enrolment, &token_there).await.unwrap();
    there.connect(&first.enrolment, year(2027), year(2027)).await.unwrap();

    // A box of another site is refused by the machine, and the machine by that box.
    let foreign = TestBox::new().await;
    let mut foreign_admin = foreign.claimed().await;
    assert!(machine.connect(&foreign.enrolment, year(2027), year(2027)).await.is_err());
    let foreign_token = token(&mut foreign_admin, 1).await;
    let disguised = machine.believing(&foreign_token);
    let refused = disguised.connect(&foreign.enrolment, year(2027), year(2027)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("invalid peer certificate"), "{refused}");
}

#[tokio::test]
async fn the_site_is_exported_once_and_a_torn_download_can_be_begun_again() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let key = school.path().join("trust/root.key");
    assert!(key.exists());
    let export = json!({ "passphrase": PASSPHRASE });
    let short = admin.post("/api/v1/site/export", json!({ "passphrase": "short" })).await;
    assert_eq!(short.refused(), (422, "invalid_input".to_owned()));
    let first = admin.post("/api/v1/site/export", export.clone()).await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(!key.exists(), "a stolen box could still make boxes");

    let again = admin.post("/api/v1/site/export", export.clone()).await;
    assert_eq!(again.body, first.body);
    let other = json!({ "passphrase": "another passphrase" });
    let refused = admin.post("/api/v1/site/export", other).await;
    assert_eq!(refused.refused(), (409, "already_exported".to_owned()));
    school.floor.clock.advance(Duration::from_mins(10));
    let refused = admin.post("/api/v1/site/export", export).await;
    assert_eq!(refused.refused(), (409, "already_exported".to_owned()));

    // Machines still get in: the root's key is not needed for them.
    let token = token(&mut admin, 1).await;
    Machine::new(&token).enrol(&school.enrolment, &token).await.unwrap();
}

#[tokio::test]
async fn a_box_does_not_join_by_a_wrong_passphrase_or_another_file() {
    let first = TestBox::new().await;
    let mut admin = first.claimed().await;
    let file = admin.post("/api/v1/site/export", json!({ "passphrase": PASSPHRASE })).await;
    let second = TestBox::new().await;
    let mut form = claim_form(&second.claim_code());
    form["site_file"] = json!(STANDARD.encode(&file.body));
    form["passphrase"] = json!("not the passphrase");
    let mut page = second.browser();
    let refused = page.post("/api/v1/claim/join", form.clone()).await;
    assert_eq!(refused.refused(), (403, "passphrase_wrong".to_owned()));
    form["site_file"] = json!("bm90IGEgc2l0ZSBmaWxl");
    let refused = page.post("/api/v1/claim/join", form).await;
    assert_eq!(refused.refused(), (422, "not_a_site_file".to_owned()));
    assert!(!second.path().join("trust").exists());
    assert!(!second.enrolment.is_claimed());
}

/// Fails when a lost database costs trust: the box can be claimed anew and every certificate
/// still holds.
#[tokio::test]
async fn a_lost_database_costs_no_trust() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);
    let issued = machine.enrol(&school.enrolment, &token).await.unwrap();
    let root = school.enrolment.site().unwrap().root_spki_sha256;

    let school = school.restarted_without_database().await;
    assert!(!school.enrolment.is_claimed());
    assert_eq!(school.enrolment.site().unwrap().root_spki_sha256, root);
    let _ = school.claimed().await;
    assert_eq!(school.enrolment.site().unwrap().root_spki_sha256, root);
    machine.connect(&school.enrolment, year(2027), year(2027)).await.unwrap();
    assert_eq!(school.enrolment.machine_of_key(machine.spki_sha256()).await.unwrap(), None);

    // It comes back as who it was, and waits for an admin.
    let taken_up = school.enrolment.take_up(machine.certificate(), newcomer()).await.unwrap();
    let taken_up = taken_up.unwrap();
    assert_eq!((taken_up.id, taken_up.is_approved), (issued.machine, false));
    let known = school.enrolment.machine_of_key(machine.spki_sha256()).await.unwrap();
    assert_eq!(known, Some(taken_up));
}

fn newcomer() -> Newcomer {
    let address = [10, 0, 0, 21].into();
    Newcomer { name: "pc-01".to_owned(), agent_version: "0.1.0".to_owned(), address }
}

/// Fails when a certificate that is no machine's makes a machine, or a machine's id is taken from
/// it by another key.
#[tokio::test]
async fn only_a_machines_certificate_is_taken_up_and_only_under_an_id_that_is_free() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);
    machine.enrol(&school.enrolment, &token).await.unwrap();
    let again = school.enrolment.take_up(machine.certificate(), newcomer()).await.unwrap();
    assert_eq!(again, None);
    let root = school.enrolment.site().unwrap().root.clone();
    assert_eq!(school.enrolment.take_up(&root, newcomer()).await.unwrap(), None);
}

/// Fails when a box with damaged trust stops, lets itself be claimed by a stranger, or makes new
/// trust in the old one's place.
#[tokio::test]
async fn a_box_with_damaged_trust_serves_and_says_so() {
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    std::fs::write(school.path().join("trust/box-ca.pem"), "torn").unwrap();
    let school = school.restarted(MORNING).await;
    let mut page = school.logged_in("admin@school.example").await;
    let state = page.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!(state["claimed"], true);
    assert_eq!(state["faults"][0]["code"], "trust_damaged");
    let form =
        json!({ "room_id": first_room(&mut page).await, "uses": 1, "expires_in_seconds": 60 });
    let refused = page.post("/api/v1/site_tokens", form).await;
    assert_eq!(refused.refused(), (503, "trust_damaged".to_owned()));
}

#[tokio::test]
async fn a_damaged_leaf_is_made_anew() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    std::fs::write(school.path().join("trust/leaf.pem"), "torn").unwrap();
    let school = school.restarted(MORNING).await;
    let machine = Machine::new(&token);
    assert_eq!(machine.connect(&school.enrolment, year(2027), year(2027)).await.unwrap(), None);
}

/// Fails where a box whose disk is full shows no page after a restart, or asks every browser to
/// trust it once more as soon as there is room.
#[tokio::test]
async fn a_leaf_that_the_disk_does_not_take_is_shown_and_written_later() {
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    let in_its_way = school.path().join("trust/leaf.new");
    std::fs::remove_file(school.path().join("trust/leaf.pem")).unwrap();
    std::fs::create_dir(&in_its_way).unwrap();
    let school = school.restarted(MORNING).await;
    let leaf = shown(&school.enrolment, &rustls::version::TLS13).await.remove(0);
    assert_eq!(faults_of_a_look(&school).await, [FaultCode::CertificateNotRenewed]);
    std::fs::remove_dir(&in_its_way).unwrap();
    assert!(faults_of_a_look(&school).await.is_empty());
    assert_eq!(shown(&school.enrolment, &rustls::version::TLS13).await[0], leaf);
    let school = school.restarted(MORNING).await;
    assert_eq!(shown(&school.enrolment, &rustls::version::TLS13).await[0], leaf);
}

/// What is broken once the box has looked at its certificate.
async fn faults_of_a_look(school: &TestBox) -> Vec<FaultCode> {
    let mut news = school.floor.events.listen();
    let stop = CancellationToken::new();
    let looking = tokio::spawn(school.enrolment.clone().run(stop.clone()));
    let changed = async { while news.next().await != Some(Event::FaultChanged) {} };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    stop.cancel();
    looking.await.unwrap();
    school.floor.health.faults().iter().map(|fault| fault.code).collect()
}

/// Fails when the page needs plain HTTP before the claim, a restart after it, or a new laptop.
#[tokio::test]
async fn the_pages_are_served_by_https_before_and_after_the_claim() {
    let school = TestBox::new().await;
    let before = shown(&school.enrolment, &rustls::version::TLS13).await;
    assert_eq!(before.len(), 1);
    let _ = school.claimed().await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let after = shown(&school.enrolment, version).await;
        assert_eq!(after.len(), 3);
        assert_ne!(after[0], before[0]);
        assert_eq!(after[2], school.enrolment.site().unwrap().root);
    }
    // A restart shows what browsers have accepted already.
    let leaf = shown(&school.enrolment, &rustls::version::TLS13).await.remove(0);
    let school = school.restarted(MORNING.plus_millis(86_400_000)).await;
    assert_eq!(shown(&school.enrolment, &rustls::version::TLS13).await[0], leaf);
    // A year later it is a new one.
    let school = school.restarted(MORNING.plus_millis(365 * 86_400_000)).await;
    assert_ne!(shown(&school.enrolment, &rustls::version::TLS13).await[0], leaf);
}

/// Fails when a box that is never restarted shows a certificate until it has ended.
#[tokio::test]
async fn a_box_that_runs_for_a_year_renews_its_certificate_under_open_ports() {
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    let first = shown(&school.enrolment, &rustls::version::TLS13).await.remove(0);
    school.floor.clock.advance(Duration::from_hours(24 * 320));
    let stop = CancellationToken::new();
    let running = tokio::spawn(school.enrolment.clone().run(stop.clone()));
    let renewed =
        async { while shown(&school.enrolment, &rustls::version::TLS13).await[0] == first {} };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_admin_moves_and_revokes_a_machine() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let token = token(&mut admin, 1).await;
    let mut machine = Machine::new(&token);
    let id = machine.enrol(&school.enrolment, &token).await.unwrap().machine;
    let room = admin.post("/api/v1/rooms", json!({ "name": "Physics" })).await;
    let room = room.expect(StatusCode::CREATED)["id"].as_str().unwrap().parse().unwrap();
    let by = school.identity.teachers().await.unwrap()[0].id;

    let change = MachineChange { room: Some(room), name: Some("pc-02".into()), is_approved: None };
    let changed = school.enrolment.change_machine(by, id, change).await.unwrap();
    assert_eq!((changed.room, changed.name.as_str()), (room, "pc-02"));
    let nobody = MachineId(uuid::Uuid::max());
    let absent = school.enrolment.change_machine(by, nobody, MachineChange::default()).await;
    assert!(matches!(absent, Err(Error::NoSuchMachine(_))));

    school.enrolment.revoke_machine(by, id).await.unwrap();
    let known = school.enrolment.machine_of_key(machine.spki_sha256()).await.unwrap().unwrap();
    assert!(known.is_revoked && !known.is_approved);
    let approve = MachineChange { is_approved: Some(true), ..MachineChange::default() };
    let revived = school.enrolment.change_machine(by, id, approve).await;
    assert!(matches!(revived, Err(Error::MachineRevoked(_))));
}

#[tokio::test]
async fn only_admins_make_tokens_and_see_the_site_and_everybody_signed_in_gets_the_root() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, "anna@school.example").await;
    for path in ["/api/v1/site", "/api/v1/site_tokens"] {
        assert_eq!(anna.get(path).await.refused(), (403, "admins_only".to_owned()));
    }
    let export = anna.post("/api/v1/site/export", json!({ "passphrase": PASSPHRASE })).await;
    assert_eq!(export.refused(), (403, "admins_only".to_owned()));
    let pem = anna.get("/api/v1/site/root.pem").await;
    assert!(pem.body.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let stranger = school.browser().get("/api/v1/site/root.pem").await;
    assert_eq!(stranger.refused(), (401, "not_signed_in".to_owned()));
    let site = admin.get("/api/v1/site").await.expect(StatusCode::OK);
    assert_eq!(site["root_fingerprint"].as_str().unwrap().len(), 64);
    assert!(!site["agent_addresses"].as_array().unwrap().is_empty());

    let room = first_room(&mut admin).await;
    for (uses, seconds) in [(0, 3600), (501, 3600), (1, 59), (1, 8_000_000)] {
        let form = json!({ "room_id": room, "uses": uses, "expires_in_seconds": seconds });
        let refused = admin.post("/api/v1/site_tokens", form).await;
        assert_eq!(refused.refused(), (422, "invalid_input".to_owned()));
    }
    let form = json!({ "room_id": uuid::Uuid::max(), "uses": 1, "expires_in_seconds": 60 });
    let refused = admin.post("/api/v1/site_tokens", form).await;
    assert_eq!(refused.refused(), (404, "no_such_room".to_owned()));
}

#[tokio::test]
async fn trust_lies_in_files_that_only_the_box_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    let trust = school.path().join("trust");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&trust), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&trust).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["box-ca.pem", "leaf.pem", "root.key", "root.pem", "site.json"]);
}
