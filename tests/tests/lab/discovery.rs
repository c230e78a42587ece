//! The box is found again where nobody said it would be.
//!
//! What would make this fail: a box that does not announce itself, or announces where it was; a
//! machine that listens to nobody once its known addresses are silent. An announcement is only an
//! address: that a stranger's box is hung up on is tested with the machine.

use std::net::Ipv4Addr;

use classroom::{
    Classroom, Switch,
    network::{BOX_ADDRESS, INTERFACE},
    school::{Options, School},
};

use crate::{SOON, shell};

/// Where no token and no machine's memory has the box.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);

/// As after the school's DHCP server gave the box another address overnight.
#[tokio::test]
async fn a_box_that_comes_up_at_another_address_is_found_by_its_machines() {
    let builder = Classroom::new().students(2).switch(Switch::Snooping);
    let options = Options { without_players: true, ..Options::default() };
    let mut school = School::open(builder, &options).await.unwrap();
    let before = school.items("/api/v1/machines").await.unwrap();

    school.daemon.terminate().await.unwrap();
    // The last address takes every route with it.
    let readdress = format!(
        "ip address delete {BOX_ADDRESS}/24 dev {INTERFACE} && \
         ip address add {ELSEWHERE}/24 broadcast + dev {INTERFACE} && \
         ip route add 224.0.0.0/4 dev {INTERFACE}"
    );
    school.classroom.the_box().run_well(shell(&readdress), "", SOON).await.unwrap();
    let mut news: Vec<_> = school.seats.iter().map(|seat| seat.agent.new_lines()).collect();
    school.daemon.restart().await.unwrap();
    school.daemon.wait_for_line(|line| line.contains("ready"), SOON).await.unwrap();

    let found = |line: &str| {
        line.contains("connected to the box") && line.contains(&format!("{ELSEWHERE}:"))
    };
    for news in &mut news {
        news.find(found, SOON).await.unwrap();
    }
    school.follow(ELSEWHERE).await.unwrap();
    school.wait_until_connected().await.unwrap();
    let after = school.items("/api/v1/machines").await.unwrap();
    let ids = |machines: &[serde_json::Value]| -> Vec<_> {
        machines.iter().map(|machine| machine["id"].clone()).collect()
    };
    assert_eq!(ids(&before), ids(&after), "they are the machines they were");
    school.classroom.close().unwrap();
}
