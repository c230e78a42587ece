//! The live WebSocket: who has it, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use support::{TestBox, page::Page};

#[tokio::test]
async fn a_box_that_stops_says_so_and_takes_no_teacher_for_gone() {
    let school = TestBox::new().await;
    let admin = school.claimed().await;
    let mut page = Page::open(&school, &admin).await;
    let here = school.live.here();
    assert_eq!(here.borrow().len(), 1);
    school.closing.cancel();
    assert_eq!(page.event().await, "bye");
    assert_eq!(page.ending().await, Some(CloseCode::Away));
    assert_eq!(page.ending().await, None);
    assert_eq!(here.borrow().len(), 1);
}
