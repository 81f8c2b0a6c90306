//! Builds the crate again when a migration is added or removed. The macro that embeds them names the files that it
//! found, so that an edited one is noticed by itself; a new one is in nobody's list.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=build.rs");
}
