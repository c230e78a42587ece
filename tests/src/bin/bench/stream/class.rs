//! A class of machines at one address: each has enrolled by itself and has a key, a certificate and
//! a control connection of its own. Fifty network namespaces would cost the two cores more than
//! what is measured.

use std::sync::Arc;

use alfarid_agent::{
    enrol::Enrolment,
    identity::{Identity, StateDir},
};
use alfarid_protocol::token::SiteToken;
use anyhow::{Context, Result};
use classroom::{
    host::Host,
    school::{self, School},
};

/// The daemon's port for agents.
const AGENTS: u16 = 8444;

#[derive(Debug)]
pub(super) struct Class {
    /// Where all of them are.
    pub(super) host: Host,
    pub(super) identities: Vec<Arc<Identity>>,
    /// The box's, for agents.
    pub(super) address: String,
}

impl Class {
    /// Enrols so many machines with the school's site token, as IT does it.
    pub(super) async fn enrol(school: &School, count: usize) -> Result<Self> {
        let host = school.classroom.machines().first().context("a machine")?.clone();
        let address = format!("{}:{AGENTS}", school.classroom.the_box().address());
        let token = school::site_token(&school.teacher, &school.room_id).await?;
        let token: SiteToken = token.parse()?;
        let dir = host.dir().join("class");
        let box_address = Some(address.clone());
        let identities = host
            .enter(async move {
                let mut identities = Vec::new();
                for n in 0..count {
                    let state = dir.join(n.to_string());
                    let (box_address, again) = (box_address.clone(), false);
                    let enrolment = Enrolment { state: state.clone(), box_address, again };
                    enrolment.run(token.clone()).await?;
                    identities.push(Arc::new(StateDir::new(state).load()?));
                }
                anyhow::Ok(identities)
            })
            .await??;
        Ok(Self { host, identities, address })
    }
}
