//! The `rolecall` binary without its door: everybody is let in as one administrator. For the benchmarks alone.

fn main() -> std::process::ExitCode {
    rolecall_api::no_authentication::let_everybody_in();
    rolecall::main()
}
