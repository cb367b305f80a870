//! `infra/container/template.yaml`: the API on Fargate, beside the stack.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::QueueName;
use penstock_store::Settings;

use super::{OF_LAMBDA, Template, a_value, entries, json, list, shown, template};

fn container() -> Template {
    Template(template::read("infra/container/template.yaml"))
}

fn dockerfile() -> &'static str {
    include_str!("../../infra/container/Dockerfile")
}

/// The variables of the container.
fn environment(container: &Template) -> BTreeMap<String, String> {
    let [definition] = &list(&container.properties("Task")["ContainerDefinitions"])[..] else {
        panic!("one container")
    };
    let variables = list(&definition["Environment"]).into_iter();
    variables.map(|each| (each["Name"].as_str().expect("a name").to_owned(), shown(&each["Value"]))).collect()
}

#[test]
fn what_the_container_takes_from_the_stack_the_stack_gives_out() {
    let (stack, container) = (Template::read(), container());
    let outputs: BTreeSet<&str> = entries(&stack.0["Outputs"]).map(|(name, _)| name).collect();
    let parameters = entries(&container.0["Parameters"]);
    let taken: Vec<_> = parameters.filter(|(_, parameter)| parameter["Description"] == "The stack's output.").collect();
    assert!(taken.len() > QueueName::ALL.len());
    for (name, parameter) in taken {
        assert!(outputs.contains(name), "{name}");
        assert!(parameter["Default"].is_null(), "{name} is handed on");
    }
}

#[test]
fn the_container_gets_every_variable_that_settings_require_and_none_that_nothing_reads() {
    let environment = environment(&container());
    let settings = Settings::from_vars(|name| {
        let is_given = environment.contains_key(name) || OF_LAMBDA.contains(&name);
        is_given.then(|| a_value(name))
    });
    settings.expect("nothing is missing");
    let of_functions =
        Template::read().environment("ApiFunction").into_keys().map(str::to_owned).collect::<BTreeSet<_>>();
    // Of its own: where it runs, and what stands in front of it.
    let own = ["AWS_REGION", "PENSTOCK_TRUSTED_PROXIES"];
    for name in environment.keys().filter(|name| !own.contains(&name.as_str())) {
        assert!(of_functions.contains(name), "{name}");
    }
    for (variable, reference) in [
        ("PENSTOCK_IMPORTS_TABLE", "!Ref ImportsTableName"),
        ("PENSTOCK_RECORDS_TABLE", "!Ref RecordsTableName"),
        ("PENSTOCK_UPLOADS_BUCKET", "!Ref UploadsBucketName"),
        ("PENSTOCK_RESULTS_BUCKET", "!Ref ResultsBucketName"),
    ] {
        assert_eq!(environment[variable], reference);
    }
    for queue in QueueName::ALL {
        assert_eq!(environment[queue.row().variable], format!("!Ref {}Url", queue.logical_id()));
    }
}

/// Each action of a role's policies with the table, bucket folder or queue that it is about.
fn allowed(template: &Template, roles: &[&str]) -> BTreeSet<(String, String)> {
    let about = |resource: &str| {
        let words = ["Imports", "Records", "Splits", "Reports", "Exports", "Removals", "Notifications"];
        let folders = ["/uploads/*", "/rejected/*", "/exports/*"];
        let kept = if resource.contains(":s3:::") || resource.contains("Bucket") {
            folders.into_iter().find(|folder| resource.contains(folder)).unwrap_or("a bucket")
        } else {
            words.into_iter().find(|word| resource.contains(word)).unwrap_or("others")
        };
        kept.to_owned()
    };
    let statements = roles.iter().flat_map(|role| template.statements(role));
    let each = statements.flat_map(|statement| {
        let resources: Vec<_> = list(&statement["Resource"]).into_iter().map(|each| about(&shown(each))).collect();
        let actions = list(&statement["Action"]).into_iter().map(shown);
        actions.flat_map(move |action| resources.clone().into_iter().map(move |about| (action.clone(), about)))
    });
    each.filter(|(action, _)| !action.starts_with("logs:") && !action.starts_with("xray:")).collect()
}

#[test]
fn the_tasks_role_may_do_what_the_apis_may() {
    let (stack, container) = (Template::read(), container());
    assert_eq!(allowed(&container, &["TaskRole"]), allowed(&stack, &["ApiRole"]));
    assert_eq!(allowed(&container, &["SignerRole"]), allowed(&stack, &["SignerRole"]));
    assert_eq!(shown(&container.properties("TaskSigns")["Roles"]), "- !Ref TaskRole");
}

#[test]
fn the_task_runs_the_image_without_rights_and_ends_when_its_requests_have() {
    let container = container();
    let definition = &container.properties("Task")["ContainerDefinitions"][0];
    let user = dockerfile().lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert_eq!(definition["User"], user);
    assert_eq!(definition["ReadonlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(json(&definition["LinuxParameters"]["Capabilities"]), json!({ "Drop": ["ALL"] }));
    let port = dockerfile().lines().find_map(|line| line.strip_prefix("EXPOSE ")).expect("a port");
    assert_eq!(definition["PortMappings"][0]["ContainerPort"].as_u64(), port.parse().ok());
    let health = json(&definition["HealthCheck"]["Command"]);
    assert!(dockerfile().contains(&format!("CMD [{}]", health[1])), "{health}");
    let targets = container.properties("Targets");
    assert_eq!((&targets["HealthCheckPath"], targets["Port"].as_u64()), (&"/health".into(), port.parse().ok()));
    // Longer than the server waits for its requests, and the load balancer sends it none by then.
    assert!(definition["StopTimeout"].as_u64() > Some(5));
    assert!(shown(&targets["TargetGroupAttributes"]).contains("deregistration_delay.timeout_seconds"));
}
