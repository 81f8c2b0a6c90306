//! The `rolecall` binary.

fn main() -> std::process::ExitCode {
    rolecall::main()
}
