//! The composition root: builds the capabilities in dependency order.

use axum::extract::FromRef;

use crate::floor::Floor;

/// What handlers may ask for. A handler extracts only the handle it uses.
#[derive(Clone, Debug, FromRef)]
pub struct AppState {
    pub floor: Floor,
}
