//! The Lua scripts. What they do and why is written in them.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident = $($file:literal),+;)+) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!($file), "\n"),+)));)+
    };
}

scripts! {
    ACCEPT = "prelude.lua", "accept.lua";
    ENQUEUE = "prelude.lua", "enqueue.lua";
    WITHDRAW = "prelude.lua", "withdraw.lua";
    CLAIM = "prelude.lua", "claim.lua";
    GIVE_BACK = "prelude.lua", "give_back.lua";
    FINISH = "prelude.lua", "finish.lua";
    RESTORE_QUEUED = "prelude.lua", "restore_queued.lua";
    CLOSE = "prelude.lua", "close.lua";
    DUE = "prelude.lua", "due.lua";
    UNMOVED = "prelude.lua", "unmoved.lua";
    DEAD_LETTER = "prelude.lua", "dead_letter.lua";
    JOIN = "join.lua";
    LEAVE = "leave.lua";
    KEEP_SECRETS = "keep_secrets.lua";
    REBUILDING = "rebuilding.lua";
    BLOCK_HOST = "block_host.lua";
    BLOCKED_FOR = "blocked_for.lua";
}
