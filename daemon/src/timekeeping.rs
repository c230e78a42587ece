//! What looks after box time while the box runs: keeps it over power cuts, and says on the health
//! page when nobody vouches for it.

pub mod doubt;
pub mod keep;
