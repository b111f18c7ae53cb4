//! The `trilith` command.

fn main() {
    std::process::exit(trilith::shell::run(std::env::args_os()));
}
