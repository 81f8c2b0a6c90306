//! Hosts that fall ill and recover are told once per outage, whichever of several workers meets it.

use rolecall_tests::process::Role;
use rolecall_tests::{Gateway, Manner, Receiver};
use serde_json::json;

use crate::scene::{Scene, builder, register};

#[tokio::test]
async fn an_outage_is_told_when_it_begins_and_when_it_ends() {
    let scene = Scene::of(builder("outage").set("target.backoff_cap_milliseconds", "200")).await;
    let _second = scene.start(Role::Worker).await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    register(&scene.client, json!({ "url": receiver.url("/"), "scope": "all" })).await;
    let target = scene.target(2);
    let port: u16 = target.host().rsplit_once(':').expect("a port").1.parse().expect("a number");
    let mut gateway = Gateway::to(port).await;
    let behind = target.behind(gateway.port());
    let mut registration = behind.registration();
    registration["login"] = json!({
        "user": scene.stack.get("STACK_DBA_USER"), "password": scene.stack.get("STACK_DBA_PASSWORD"),
    });
    scene.client.put_target("dev", "behind", &registration).await.expect(201);

    for outage in 1..=2 {
        gateway.refuse().await;
        let mut job = behind.create_role(&scene.role(&format!("ada{outage}")));
        job["database"] = "behind".into();
        let ticket = scene.client.submit(&job).await.expect(202).id();
        let told = receiver.hears("host.unreachable", outage).await.remove(outage - 1).json();
        assert_eq!(told["data"]["code"], "target_unreachable");
        assert_eq!(told["data"]["host"], json!(behind.host()));
        gateway.pass_on().await;
        // The database of that name does not exist there; the host answers all the same.
        scene.client.wait(&ticket).await;
        receiver.hears("host.recovered", outage).await;
    }
    assert_eq!(receiver.heard_of("host.unreachable").len(), 2);
    assert_eq!(receiver.heard_of("host.recovered").len(), 2);
    let audit = scene.client.audit("event=host.unreachable").await.expect(200);
    assert_eq!(audit.list("items").len(), 2);
}
