//! A lesson from the wire to the player: real RTP by multicast on the loopback interface.
