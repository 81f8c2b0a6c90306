//! Three databases on two servers.

use reqwest::Method;
use rolecall_tests::Target;

use super::Story;

/// The targets of the demonstration: env, database, server. The first two share a host.
pub fn targets(servers: &[Target; 2]) -> [(&'static str, &'static str, &Target); 3] {
    let [first, second] = servers;
    [("dev", "myapp_dev", first), ("qa", "myapp_qa", first), ("uat", "myapp_dev", second)]
}

impl Story<'_> {
    pub(super) async fn register_targets(&self) {
        self.screen.step("Three targets are registered; two of them stand on one host");
        for (env, database, target) in targets(self.targets) {
            let path = format!("/api/v2/targets/{env}/{database}");
            let fields = ["env", "database", "hostname", "port", "active", "code", "detail"];
            let answer = self.call(Method::PUT, &path, Some(&target.registration()), &fields).await;
            self.check(answer.status == 201, &format!("201: {env}/{database} is registered"));
        }

        self.screen.step("A target is checked: can Rolecall log in, and what may it do there?");
        let path = "/api/v2/targets/dev/myapp_dev/check";
        let fields =
            ["ok", "server_version", "user", "createrole", "member_of_owner", "problems", "code", "detail"];
        let answer = self.call(Method::POST, path, None, &fields).await;
        self.check(answer.status == 200 && answer.at("ok") == true, "200: nothing stands in the way");
    }
}
