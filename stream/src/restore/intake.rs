//! What comes: dropped, kept, or looked at.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Restore,
    blocks::Place,
    candidates::{Candidate, Kept},
    checks::Class,
    pieces::Added,
    streams::Found,
};
use crate::{
    block::{Heartbeat, MAX_DATAGRAM, Manifest, Parity, digest_of},
    rtp,
};

impl Restore {
    pub(super) fn source(&mut self, now: Duration, datagram: Bytes) {
        let header = match rtp::Header::parse(&datagram) {
            Ok(header) if datagram.len() <= MAX_DATAGRAM => header,
            _ => return self.stats.malformed += 1,
        };
        let ssrc = header.ssrc;
        let (index, taken) = match self.streams.find(ssrc, header.sequence) {
            Found::Wanted(index) => (index, false),
            Found::Taken(index) => (index, true),
            Found::Old => return self.stats.replayed += 1,
            Found::Far => return self.stats.over_limits += 1,
            Found::Foreign => return self.stats.foreign += 1,
        };
        let block = self.blocks.holding(ssrc, index);
        if taken && block.is_none() {
            return self.stats.duplicate += 1;
        }
        let digest = digest_of(&datagram);
        match block.map(|number| (number, self.blocks.place(number))) {
            Some((number, Place::Open(pieces))) if pieces.is_listed() => {
                let in_time = now < pieces.in_time_until(self.playout);
                match pieces.add(ssrc, index, digest, &datagram, Some(now)) {
                    Added::New => {
                        self.deliver((ssrc, index), datagram, false, in_time);
                        self.complete(now, number);
                    }
                    Added::Again => self.stats.duplicate += 1,
                    Added::Wrong => self.stats.forged += 1,
                }
            }
            Some((number, Place::Open(_))) => {
                self.keep(Candidate { ssrc, index, digest, arrived: now, datagram });
                self.complete(now, number);
            }
            Some(_) if taken => self.stats.duplicate += 1,
            Some(_) => self.stats.replayed += 1,
            None => self.keep(Candidate { ssrc, index, digest, arrived: now, datagram }),
        }
    }

    fn keep(&mut self, candidate: Candidate) {
        match self.candidates.insert(candidate) {
            Kept::Yes => {}
            Kept::Twice => self.stats.duplicate += 1,
            Kept::Full(gone) => self.stats.over_limits += gone as u64,
        }
    }

    pub(super) fn manifest(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Manifest::parse(datagram) else { return self.stats.malformed += 1 };
        let (block, ticket) = (claim.unverified().block, claim.unverified().ticket);
        match self.blocks.place(block) {
            Place::Open(pieces) if !pieces.is_listed() => {}
            Place::Open(pieces) => {
                let again = pieces.list_again(datagram);
                self.stats.duplicate += u64::from(again);
                self.stats.forged += u64::from(!again);
                return;
            }
            Place::Beyond => {}
            Place::Settled => return self.stats.duplicate += 1,
            Place::Past => return self.stats.replayed += 1,
        }
        let class = match self.tickets.check(block, ticket) {
            Some(true) => Class::Ticketed,
            Some(false) => return self.stats.forged += 1,
            None => Class::Unticketed,
        };
        if !self.may_check(now, class) {
            return;
        }
        match claim.verify(&self.key) {
            Ok(manifest) => self.list(now, manifest, datagram.clone(), true),
            Err(_) => self.stats.bad_signature += 1,
        }
    }

    pub(super) fn parity(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Parity::parse(datagram) else { return self.stats.malformed += 1 };
        let parity = claim.unverified();
        let number = parity.block;
        match self.blocks.place(number) {
            Place::Open(pieces) if pieces.is_whole() || pieces.has(parity.number) => {
                return self.stats.duplicate += 1;
            }
            Place::Open(pieces) if !pieces.fits(parity) => return self.stats.forged += 1,
            Place::Open(_) | Place::Beyond => {}
            Place::Settled => return self.stats.duplicate += 1,
            Place::Past => return self.stats.replayed += 1,
        }
        if !self.may_check(now, Class::of_parity(datagram)) {
            return;
        }
        let Ok(parity) = claim.verify(&self.key) else { return self.stats.bad_signature += 1 };
        self.know(now, number, Some(&parity.entries));
        if let Place::Open(pieces) = self.blocks.place(number) {
            if let Some(after) = pieces.add_parity(now, parity) {
                self.answers.came(after);
            }
            self.complete(now, number);
        }
    }

    pub(super) fn beat(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Heartbeat::parse(datagram) else { return self.stats.malformed += 1 };
        let claimed = claim.unverified();
        let is_old = |last: &Heartbeat| claimed.box_ms <= last.box_ms || claimed.block < last.block;
        if self.heartbeat.as_ref().is_some_and(is_old) {
            self.signs += u64::from(self.heartbeat.as_ref() == Some(claimed));
            return self.stats.replayed += 1;
        }
        if !self.may_check(now, Class::Heartbeat) {
            return;
        }
        let Ok(heartbeat) = claim.verify(&self.key) else { return self.stats.bad_signature += 1 };
        for stream in &heartbeat.streams {
            self.learn(stream.ssrc, stream.next);
        }
        self.tickets.learn(heartbeat.block, heartbeat.commitment);
        self.last_sign = Some(now);
        self.signs += 1;
        let settled = self.blocks.closed(now, heartbeat.block, heartbeat.block);
        self.settle(settled);
        self.heartbeat = Some(heartbeat);
    }

    pub(super) fn may_check(&mut self, now: Duration, class: Class) -> bool {
        let may = self.checks.take(now, class);
        if may {
            self.stats.checked += 1;
        } else {
            self.stats.over_limits += 1;
        }
        may
    }
}
