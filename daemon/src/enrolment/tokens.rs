//! Site tokens: one line that lets a number of machines into one room.

use std::time::Duration;

use alfarid_protocol::{
    id::{RoomId, TeacherId, TokenId},
    time::Timestamp,
    token::SiteToken,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Error, Handle, addresses, store};
use crate::{
    field::{FieldCode, Invalid},
    identity::audit,
};

/// What an admin asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewSiteToken {
    pub room: RoomId,
    pub uses: u32,
    pub expires_in: Duration,
}

impl NewSiteToken {
    const MOST_USES: u32 = 500;
    const SHORTEST: Duration = Duration::from_mins(1);
    /// A summer's installation; a token that lies about longer is forgotten, not needed.
    const LONGEST: Duration = Duration::from_hours(90 * 24);

    pub fn parse(room: RoomId, uses: u32, expires_in_seconds: u64) -> Result<Self, Invalid> {
        if !(1..=Self::MOST_USES).contains(&uses) {
            let detail = "must be 1 to 500";
            return Err(Invalid { field: "uses", code: FieldCode::OutOfRange, detail });
        }
        let expires_in = Duration::from_secs(expires_in_seconds);
        if !(Self::SHORTEST..=Self::LONGEST).contains(&expires_in) {
            let detail = "must be 60 seconds to 90 days";
            return Err(Invalid {
                field: "expires_in_seconds",
                code: FieldCode::OutOfRange,
                detail,
            });
        }
        Ok(Self { room, uses, expires_in })
    }
}

/// A token as the box knows it: all but its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SiteTokenRow {
    pub id: TokenId,
    pub room_id: RoomId,
    pub uses_left: u32,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

impl Handle {
    /// Makes a token. Its line is given out here and nowhere else: the box keeps a hash.
    pub async fn create_site_token(
        &self,
        by: TeacherId,
        new: NewSiteToken,
    ) -> Result<(SiteTokenRow, SiteToken), Error> {
        let site = self.claimed_site()?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(Error::NoRandomness)?;
        let token = SiteToken {
            root_spki_sha256: site.root_spki_sha256,
            secret,
            addresses: self.agent_addresses(),
        };
        let clock = self.0.floor.clock.clone();
        let now = clock.now();
        let valid_ms = i64::try_from(new.expires_in.as_millis()).unwrap_or(i64::MAX);
        let row = SiteTokenRow {
            id: clock.id(),
            room_id: new.room,
            uses_left: new.uses,
            expires_at: now.plus_millis(valid_ms),
            created_at: now,
        };
        let kept = row.clone();
        self.0
            .floor
            .db
            .write(move |tx| {
                store::forget_old_tokens(tx, now)?;
                if !store::insert_token(tx, &kept, &store::secret_sha256(&secret), by)? {
                    return Err(Error::NoSuchRoom(kept.room_id));
                }
                let entry = audit::Entry::new(by, "site_token_created", &kept.id);
                Ok(audit::write(tx, &clock, &entry)?)
            })
            .await?;
        Ok((row, token))
    }

    /// All tokens, those that can still be used and those that could until lately.
    pub async fn site_tokens(&self) -> Result<Vec<SiteTokenRow>, Error> {
        Ok(self.0.floor.db.read(store::tokens).await?)
    }

    pub async fn delete_site_token(&self, by: TeacherId, id: TokenId) -> Result<(), Error> {
        let clock = self.0.floor.clock.clone();
        self.0
            .floor
            .db
            .write(move |tx| {
                if !store::delete_token(tx, id)? {
                    return Err(Error::NoSuchToken(id));
                }
                let entry = audit::Entry::new(by, "site_token_deleted", &id);
                Ok(audit::write(tx, &clock, &entry)?)
            })
            .await
    }

    /// Where machines reach this box: `host:port`, best first.
    pub fn agent_addresses(&self) -> Vec<String> {
        addresses::reachable(self.0.floor.config.agents.listen, &addresses::present())
    }

    /// Where people reach this box: `host:port`, best first.
    pub fn web_addresses(&self) -> Vec<String> {
        addresses::reachable(self.0.floor.config.http.listen, &addresses::present())
    }
}
