//! How a wire breaks: rules of `nft` at a host's own interface, and at the switch's end of its
//! cable.
//!
//! What comes in is hit before the host's sockets see it, and after [`crate::traffic`] has counted
//! it: that counts what came down the wire. What goes out is lost at the far end, after it was
//! counted as well. One rule hits all sockets of the host alike, so a host is one receiver.

use std::fmt::Write;

use anyhow::Result;

use crate::network::INTERFACE;

/// What is wrong with one host's wire. All of it at once, if so set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    /// Of a thousand IP packets either way, whatever they carry.
    pub loss_permille: u16,
    /// No multicast comes in.
    pub is_multicast_cut: bool,
    /// No UDP comes in or goes out.
    pub is_udp_cut: bool,
}

impl Faults {
    /// The whole rule set of the host, which replaces the one before it in one transaction.
    pub(crate) fn rules(self) -> Result<String> {
        // `add` before `delete`: deleting a table that is not there is an error.
        let mut rules = String::from("add table netdev faults\ndelete table netdev faults\n");
        if self == Self::default() {
            return Ok(rules);
        }
        rules.push_str("table netdev faults {\n");
        for (hook, is_ingress) in [("ingress", true), ("egress", false)] {
            writeln!(rules, " chain {hook} {{")?;
            writeln!(rules, "  type filter hook {hook} device \"{INTERFACE}\" priority 0;")?;
            if self.is_udp_cut {
                writeln!(rules, "  meta l4proto udp drop")?;
            }
            if is_ingress && self.is_multicast_cut {
                writeln!(rules, "  ip daddr 224.0.0.0/4 drop")?;
            }
            if is_ingress && self.loss_permille > 0 {
                let lost = self.loss_permille;
                writeln!(rules, "  meta protocol ip numgen random mod 1000 < {lost} drop")?;
            }
            rules.push_str(" }\n");
        }
        rules.push_str("}\n");
        Ok(rules)
    }

    /// The same for the switch, which calls its end of the cable `port`.
    pub(crate) fn rules_of_switch(self, port: &str) -> Result<String> {
        let mut rules =
            format!("add table netdev faults_{port}\ndelete table netdev faults_{port}\n");
        if self.loss_permille > 0 {
            let lost = self.loss_permille;
            writeln!(rules, "table netdev faults_{port} {{\n chain ingress {{")?;
            writeln!(rules, "  type filter hook ingress device \"{port}\" priority 0;")?;
            writeln!(rules, "  meta protocol ip numgen random mod 1000 < {lost} drop")?;
            rules.push_str(" }\n}\n");
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_wire_has_no_table() {
        assert!(!Faults::default().rules().unwrap().contains("chain"));
        assert!(!Faults::default().rules_of_switch("seat-1").unwrap().contains("chain"));
    }

    #[test]
    fn faults_add_up() {
        let faults = Faults { loss_permille: 50, is_multicast_cut: true, is_udp_cut: false };
        let rules = faults.rules().unwrap();
        let of_switch = faults.rules_of_switch("seat-1").unwrap();

        assert!(of_switch.contains("device \"seat-1\""), "{of_switch}");
        assert!(of_switch.contains("random mod 1000 < 50 drop"), "{of_switch}");
        assert!(rules.contains("random mod 1000 < 50 drop"), "{rules}");
        assert!(rules.contains("ip daddr 224.0.0.0/4 drop"), "{rules}");
        assert!(!rules.contains("udp"), "{rules}");
    }
}
