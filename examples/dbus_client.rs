//! A client of the daemon that prints finished utterances until it is interrupted:
//! `cargo run --example dbus_client`
//!
//! It uses nothing of the library: any program in any language can do the same.

use futures::StreamExt;
use std::collections::HashMap;
use std::error::Error;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Proxy, Variant};

const NAME: &str = "org.hearken.Hearken1";

fn main() -> Result<(), Box<dyn Error>> {
    zbus::block_on(listen())
}

async fn listen() -> Result<(), Box<dyn Error>> {
    let bus = Connection::session().await?;
    let manager = Proxy::new(
        &bus,
        NAME,
        "/org/hearken/Hearken1",
        format!("{NAME}.Manager"),
    )
    .await?;
    let options = HashMap::from([("language", Variant::from("en"))]);
    let path: OwnedObjectPath = manager.call("CreateSession", &(options,)).await?;
    let session = Proxy::new(&bus, NAME, path, format!("{NAME}.Session")).await?;
    let mut finals = session.receive_signal("Final").await?;
    session.call::<_, _, ()>("Start", &()).await?;
    while let Some(signal) = finals.next().await {
        type Final = (u64, u64, String, HashMap<String, OwnedVariant>);
        let (_, _, text, _): Final = signal.body().deserialize()?;
        println!("{text}");
    }
    Ok(())
}
