//! Settings over HTTP: everybody who is signed in sees them, admins set them.

use axum::extract::{FromRef, State};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, Setting};
use crate::{
    http::{Json, List, Path, Problem},
    identity::{self, Admin, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(list_settings)).routes(routes!(replace_setting))
}

/// All settings, as they are in force.
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "settings", operation_id = "list_settings",
    responses(
        (status = 200, body = List<Setting>),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn list_settings(
    State(settings): State<Handle>,
    _signed: Signed,
) -> Result<List<Setting>, Problem> {
    Ok(List { items: settings.list().await? })
}

#[derive(Deserialize, ToSchema)]
struct SettingForm {
    #[schema(value_type = Value, example = 45)]
    value: Value,
}

/// Set one. In force at once.
#[utoipa::path(
    put, path = "/api/v1/settings/{key}", tag = "settings", operation_id = "replace_setting",
    params(("key" = String, Path)), request_body = SettingForm,
    responses(
        (status = 200, body = Setting),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_setting`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn replace_setting(
    State(settings): State<Handle>,
    Admin(admin): Admin,
    Path(key): Path<String>,
    Json(form): Json<SettingForm>,
) -> Result<Json<Setting>, Problem> {
    Ok(Json(settings.set(&admin, &key, form.value).await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Db(_) => Self::internal(&error),
            Error::Invalid(invalid) => invalid.into(),
            Error::NoSuchSetting(_) => Self::not_found("no_such_setting", detail),
        }
    }
}
