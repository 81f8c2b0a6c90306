//! `make demo`.

use std::time::Instant;

use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Target};

use crate::place::{Place, free_port};
use crate::screen::{self, Screen};
use crate::up::{Setup, start_servers};
use crate::{blocking, story};

/// The whole demonstration. The exit code is 0 only if everything was as it should be.
pub async fn run(screen: &Screen) -> i32 {
    let start = Instant::now();
    let place = Place::demo();
    screen
        .title("Rolecall: roles on PostgreSQL, through a queue. Everything below runs on this machine only.");

    // What a killed demonstration left.
    blocking({
        let place = place.clone();
        move || place.remove()
    })
    .await;
    let stack = start_servers(screen, &place).await;
    let setup = Setup::make(screen, &place, stack, [free_port(5000), 0]).await;
    let [api, worker] =
        [Role::Api, Role::Worker].map(|role| Process::spawn(role, &setup.environment, place.dir()));
    api.ready().await;
    worker.ready().await;
    screen.done("api ready", &format!("{} (process {})", api.url(), api.pid()));
    screen.done("worker ready", &format!("{} (process {})", worker.url(), worker.pid()));

    let client = Client::new(&api.url(), &setup.user, &setup.password);
    let targets = [1, 2].map(|number| Target::of(&setup.stack, number));
    story::tell(screen, &client, &targets).await;

    screen.step("Both processes are asked to stop");
    screen.check(worker.stop().await.success(), "the worker finished what it had and left with exit code 0");
    screen.check(api.stop().await.success(), "the api answered what it had and left with exit code 0");

    let (passed, failed) = screen.score();
    let seconds = start.elapsed().as_secs();
    screen::line("");
    if failed > 0 {
        screen.error(&format!("{failed} of {} checks differ from what they should be.", passed + failed));
        screen.error(&worker.log_tail());
        return 1;
    }
    screen.done(&format!("{passed} checks, all as they should be."), &format!("{seconds} s"));
    screen::line(
        "\nLeave it running with `make up`; it prints its address and a way to call it:\n\n    \
         curl --config .run/up/curl http://127.0.0.1:5000/api/v2/targets\n\n\
         `make down` ends it, `make test` runs all tests.",
    );
    0
}
