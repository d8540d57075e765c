//! Scratch databases: their names, and the removal of those that killed runs left behind.

use crate::world::World;
use dunlin_core::dialect::SCRATCH_DATABASE as PREFIX;
use std::path::Path;

/// A name for a scratch database: whose it is can be told from it, so that nobody else's is ever touched.
pub(crate) fn name(world: &World) -> String {
    // By chance whatever the seed: servers are shared.
    format!("{PREFIX}{}_{}", mark(world), crate::world::chance())
}

/// What tells this process on this host apart: `HOST_PID`.
pub(crate) fn mark(world: &World) -> String {
    format!("{}_{}", host(world), std::process::id())
}

fn host(world: &World) -> String {
    let mut hasher = dunlin_core::hash::Hasher::new();
    let host = world.who.split('@').next_back().unwrap_or_default();
    hasher.part(host.as_bytes());
    hasher.hex()[..6].to_owned()
}

/// Whether a [`mark`] is of a process of this host that is gone. Where the system cannot tell, none is.
pub(crate) fn is_dead(world: &World, mark: &str) -> bool {
    let Some((of, process)) = mark.split_once('_') else {
        return false;
    };
    let number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    of == host(world)
        && number
        && Path::new("/proc/self").exists()
        && !Path::new("/proc").join(process).exists()
}

/// Drops scratch databases that killed runs of this host left behind.
pub(crate) async fn sweep(world: &World) {
    let Ok(beside) = world.scratch(PREFIX) else {
        return;
    };
    for name in beside.siblings().await.unwrap_or_default() {
        let mark = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.rsplit_once('_'))
            .map(|(mark, _)| mark);
        if mark.is_some_and(|mark| is_dead(world, mark))
            && let Ok(engine) = world.scratch(&name)
        {
            // Best effort: what cannot be dropped now is tried again next time.
            let _ = engine.drop_database().await;
        }
    }
}
