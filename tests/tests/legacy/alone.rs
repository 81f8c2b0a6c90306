//! What needs servers that nobody else uses: roles with the names of the documents, and every role of a server compared.

use rolecall_tests::PrivateStack;

use crate::{documents, injections};

#[tokio::test]
async fn on_servers_of_their_own() {
    let stack = PrivateStack::up("legacy");
    documents::every_request_is_answered_as_shown(&stack).await;
    injections::none_changes_anything(&stack).await;
}
