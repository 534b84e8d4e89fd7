//! What we ask IBus.

use zbus::{Connection, OwnedVariant, Variant};

use super::wire;

/// IBus on its bus.
const NAME: &str = "org.freedesktop.IBus";
const PATH: &str = "/org/freedesktop/IBus";
/// Name of our engine, as in packaging/ibus/hearken.xml.
pub const OWN_ENGINE: &str = "hearken";

async fn property(connection: &Connection, name: &str) -> Option<OwnedVariant> {
    let properties = "org.freedesktop.DBus.Properties";
    let body = (NAME, name);
    let call = connection.call_method(Some(NAME), PATH, Some(properties), "Get", &body);
    call.await.ok()?.body().deserialize().ok()
}

/// Name of the engine in use; `None` if there is none.
pub fn global_engine(connection: &Connection) -> Option<String> {
    let engine = zbus::block_on(property(connection, "GlobalEngine"))?;
    wire::name_of_engine(&Variant::from(engine))
}

/// Path of the input context that has the focus.
pub async fn current_context(connection: &Connection) -> Option<String> {
    let context = property(connection, "CurrentInputContext").await?;
    wire::path_of(&Variant::from(context))
}

/// Whether IBus knows our engine by its component file.
pub fn is_known(connection: &Connection) -> bool {
    let reply = zbus::block_on(connection.call_method(
        Some(NAME),
        PATH,
        Some(NAME),
        "GetEnginesByNames",
        &(vec![OWN_ENGINE],),
    ));
    let engines = reply.and_then(|reply| reply.body().deserialize::<Vec<OwnedVariant>>());
    engines.is_ok_and(|engines| !engines.is_empty())
}

pub fn set_global_engine(connection: &Connection, name: &str) -> zbus::Result<()> {
    let body = (name,);
    let call = connection.call_method(Some(NAME), PATH, Some(NAME), "SetGlobalEngine", &body);
    zbus::block_on(call).map(drop)
}

/// Whether a name on IBus's bus has an owner.
pub fn is_owned(connection: &Connection, name: &str) -> bool {
    let bus = "org.freedesktop.DBus";
    let body = (name,);
    let path = "/org/freedesktop/DBus";
    let call = connection.call_method(Some(bus), path, Some(bus), "NameHasOwner", &body);
    let reply = zbus::block_on(call).and_then(|reply| reply.body().deserialize());
    reply.unwrap_or(false)
}
