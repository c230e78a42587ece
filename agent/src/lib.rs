//! The student machine.
