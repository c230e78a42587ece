//! What the teacher puts on air, and how it reaches every machine.

pub mod tap;
