//! `template.yaml`, held to what the functions ask for and to the numbers that the local cloud is tested with.
//!
//! cfn-lint (`.ci/run`) says that the template is valid; this says that it is Penstock.

mod container;
mod front;
mod operations;
mod releases;
mod role;
mod stores;
mod upload_route;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use penstock_local::{Options, QueueOptions};
use penstock_model::{EventId, FunctionName, Order, QueueName, VISIBILITY_PER_TIMEOUT, WebhookId, limits};
use penstock_store::{FAULT_VARIABLES, Settings, names::Folder};
use serde_json::json;
use yaml_serde::Value;

use crate::support::template::{self, as_allowed, list, shown};

/// What Lambda gives every function without being told (AWS Lambda Developer Guide, "Defined runtime environment
/// variables").
const OF_LAMBDA: [&str; 4] = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Every action that a role may name. cfn-lint does not look at the names in a SAM template; these are spelt as the
/// Service Authorization Reference spells them.
const ACTIONS: [&str; 31] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "events:PutEvents",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sts:AssumeRole",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// The uploads bucket's name, which must not be asked of the bucket: see there.
const UPLOADS_NAME: &str = "\
!Sub
- penstock-uploads-${Stack}
- Stack: !Select
  - 2
  - !Split
    - /
    - !Ref AWS::StackId";

/// The name of the table of imports, and of that of records: the stack's own, or what was restored in its place.
const IMPORTS_NAME: &str = "!If\n- HasRestoredImports\n- !Ref RestoredImportsTable\n- !Ref ImportsTable";
const RECORDS_NAME: &str = "!If\n- HasRestoredRecords\n- !Ref RestoredRecordsTable\n- !Ref RecordsTable";

struct Template(Value);

impl Template {
    fn read() -> Self {
        Self(template::read("template.yaml"))
    }

    /// A resource's properties.
    fn properties(&self, resource: &str) -> &Value {
        &self.0["Resources"][resource]["Properties"]
    }

    /// The properties of every resource of a type, by logical id.
    fn of_type(&self, wanted: &str) -> BTreeMap<&str, &Value> {
        let of_type = entries(&self.0["Resources"]).filter(|(_, resource)| resource["Type"] == wanted);
        of_type.map(|(id, resource)| (id, &resource["Properties"])).collect()
    }

    /// Every event of a type that a function has.
    fn events<'a>(&'a self, function: &str, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = &self.properties(function)["Events"];
        let events = events.as_mapping().map(|_| entries(events)).into_iter().flatten();
        events.filter(move |(_, event)| event["Type"] == wanted).map(|(_, event)| &event["Properties"])
    }

    /// A function's environment variables, its own and those of all.
    fn environment(&self, function: &str) -> BTreeMap<&str, String> {
        let own = &self.properties(function)["Environment"]["Variables"];
        let of_all = entries(&self.0["Globals"]["Function"]["Environment"]["Variables"]);
        let own = own.as_mapping().map(|_| entries(own)).into_iter().flatten();
        of_all.chain(own).map(|(name, value)| (name, shown(value))).collect()
    }

    /// Every statement of a function's role.
    fn statements(&self, role: &str) -> Vec<&Value> {
        let policies = self.properties(role)["Policies"].as_sequence().expect("policies");
        let statements = policies.iter().map(|policy| &policy["PolicyDocument"]["Statement"]);
        statements.flat_map(|statements| statements.as_sequence().expect("statements")).map(as_allowed).collect()
    }
}

fn entries(mapping: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = mapping.as_mapping().expect("a mapping").iter();
    entries.map(|(key, value)| (key.as_str().expect("keys are strings"), value))
}

fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).expect("a value without tags")
}

/// What any variable may hold, a number or a text.
fn a_value(name: &str) -> String {
    match name {
        "PENSTOCK_RATE_LIMITS" => "native.all.address=off",
        "PENSTOCK_CORS_ORIGINS" => "https://imports.example.com",
        _ => "60",
    }
    .to_owned()
}

/// The variables of which none may be missing.
fn required(asked: &BTreeSet<String>) -> Vec<&String> {
    let without = |missing: &str| Settings::from_vars(|name| (name != missing).then(|| a_value(name)));
    asked.iter().filter(|name| without(name).is_err()).collect()
}

fn local() -> Options {
    Options::new(PathBuf::from("penstock"))
}

/// What a Python program says that imports the modules of `infra/release`, with these arguments; nothing where there is
/// no Python, but in `.ci/run`.
fn release_says(program: &str, arguments: &[&str]) -> Option<String> {
    let mut python = std::process::Command::new("python3");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/infra/release");
    python.env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1").args(["-c", program]).args(arguments);
    let output = match python.output() {
        Ok(output) => output,
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("no python3, so nothing is told: {error}");
            return None;
        }
        Err(error) => panic!("python3 is needed: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// A function's logical id.
fn id(function: FunctionName) -> String {
    function.logical_id("Function")
}

#[test]
fn timeouts_are_those_of_the_local_cloud() {
    let template = Template::read();
    for function in FunctionName::ALL {
        let timeout = template.properties(&id(function))["Timeout"].as_u64();
        assert_eq!(timeout, Some(function.timeout_seconds().into()), "{function}");
        assert_eq!(timeout, Some(local().functions.of(function).timeout.as_secs()), "{function}");
    }
}

#[test]
fn queues_behave_as_the_table_has_them() {
    let template = Template::read();
    let visibility = |function: FunctionName| Some(u64::from(VISIBILITY_PER_TIMEOUT * function.timeout_seconds()));
    for queue in QueueName::ALL {
        let (row, dead) = (queue.row(), queue.dead_letters_logical_id());
        let (properties, dead_properties) = (template.properties(&queue.logical_id()), template.properties(&dead));
        assert_eq!(properties["VisibilityTimeout"].as_u64(), visibility(row.function), "{queue}");
        let redrive = &properties["RedrivePolicy"];
        assert_eq!(redrive["maxReceiveCount"].as_u64(), Some(row.max_receive_count.into()), "{queue}");
        let most_seconds = u64::from(row.max_receive_count) * limits::RETRY_MOST_SECONDS;
        assert!(properties["MessageRetentionPeriod"].as_u64() > Some(most_seconds), "{queue}: all its receives fit");
        assert_eq!(shown(&redrive["deadLetterTargetArn"]), format!("!GetAtt {dead}.Arn"));
        assert_eq!(dead_properties["VisibilityTimeout"].as_u64(), visibility(FunctionName::Sweep), "{dead}");
        assert_eq!(dead_properties["MessageRetentionPeriod"].as_u64(), Some(14 * 24 * 60 * 60), "{dead}");
        assert!(properties["MessageRetentionPeriod"].as_u64() < dead_properties["MessageRetentionPeriod"].as_u64());
        assert!(dead_properties["RedrivePolicy"].is_null(), "{dead}");
        // And so they do in the local cloud.
        let QueueOptions { batch_size, max_receive_count, visibility_timeout } = local().queues[queue];
        assert_eq!((batch_size, max_receive_count, visibility_timeout), (row.batch_size, row.max_receive_count, None));
    }
    let queues = template.of_type("AWS::SQS::Queue");
    assert_eq!(queues.len(), 2 * QueueName::ALL.len(), "each queue that is no dead-letter queue has one");
    for (queue, properties) in queues {
        assert_eq!(properties["MaximumMessageSize"].as_u64(), Some(limits::MESSAGE_BYTES as u64), "{queue}");
    }
}

/// Bytes of the longest order on the notifications queue, which holds ids alone.
fn longest_notification() -> usize {
    let account = "a".repeat(limits::NAME_CHARS).parse().expect("an account");
    let (webhook, event) = (WebhookId::new(1, [7; 10]), EventId::first_at(1));
    Order::Deliver { account, webhook, event, attempt: u32::MAX }.encode().expect("an order").len()
}

#[test]
fn functions_read_the_queues_that_the_table_gives_them() {
    let template = Template::read();
    let of_queue = |queue: &QueueName| {
        let row = queue.row();
        let read = (row.function, format!("!GetAtt {}.Arn", queue.logical_id()), row.batch_size);
        [read, (FunctionName::Sweep, format!("!GetAtt {}.Arn", queue.dead_letters_logical_id()), 1)]
    };
    let wanted: BTreeSet<_> = QueueName::ALL.iter().flat_map(of_queue).collect();
    let mut found = BTreeSet::new();
    for function in FunctionName::ALL {
        for event in template.events(&id(function), "SQS") {
            assert_eq!(json(&event["FunctionResponseTypes"]), json!(["ReportBatchItemFailures"]), "{function}");
            let batch_size = event["BatchSize"].as_u64().expect("a batch size") as usize;
            let is_told = shown(&event["Queue"]) == format!("!GetAtt {}.Arn", QueueName::Notifications.logical_id());
            let message_bytes = if is_told { longest_notification() } else { limits::MESSAGE_BYTES };
            assert!(batch_size * message_bytes < limits::INVOCATION_BYTES, "{function}: a batch fits");
            found.insert((function, shown(&event["Queue"]), batch_size));
        }
    }
    assert_eq!(found, wanted);
    let chunks = template.events("ValidateFunction", "SQS").next().expect("the chunks queue");
    assert_eq!(shown(&chunks["ScalingConfig"]["MaximumConcurrency"]), "!Ref ValidatorConcurrency");
    let notifications = template.events("NotifyFunction", "SQS").next().expect("the notifications queue");
    assert_eq!(shown(&notifications["ScalingConfig"]["MaximumConcurrency"]), "!Ref NotifierConcurrency");
}

/// A message that a function sends may lead to another one for itself. After some sixteen in a chain Lambda would stop
/// it, if it were not allowed.
#[test]
fn functions_that_order_themselves_may() {
    let template = Template::read();
    // Who is invoked by what a function sends: the reader of the queue, and that of its dead letters.
    let ordered = |function: FunctionName| {
        let statements = template.statements(&function.logical_id("Role"));
        let sends = |statement: &&&Value| list(&statement["Action"]).iter().any(|action| *action == "sqs:SendMessage");
        let named: Vec<String> =
            statements.iter().filter(sends).flat_map(|statement| list(&statement["Resource"])).map(shown).collect();
        let sent = |queue: &QueueName| named.contains(&format!("!GetAtt {}.Arn", queue.logical_id()));
        let readers = QueueName::ALL.into_iter().filter(sent).map(|queue| queue.row().function);
        readers.flat_map(|reader| [reader, FunctionName::Sweep]).collect::<BTreeSet<_>>()
    };
    for function in FunctionName::ALL {
        let (mut reached, mut new) = (BTreeSet::new(), ordered(function));
        while !new.is_empty() {
            reached.extend(new.iter().copied());
            new = new.into_iter().flat_map(ordered).filter(|function| !reached.contains(function)).collect();
        }
        let allowed = &template.properties(&id(function))["RecursiveLoop"];
        let wanted = if reached.contains(&function) { Value::from("Allow") } else { Value::Null };
        assert_eq!(*allowed, wanted, "{function} leads to {reached:?}");
    }
}

#[test]
fn the_sender_knows_the_url_of_the_api() {
    let template = Template::read();
    let url = template.environment("NotifyFunction")["PENSTOCK_API_URL"].clone();
    let of_the_stack = shown(&template.0["Outputs"]["ApiUrl"]["Value"]);
    let of_the_stack = of_the_stack.replace('\n', "\n  ");
    assert_eq!(url, format!("!If\n- HasEventsApiUrl\n- !Ref EventsApiUrl\n- {of_the_stack}"));
}

#[test]
fn the_sweeper_runs_every_minute() {
    let template = Template::read();
    let schedules: Vec<_> = template.events("SweepFunction", "Schedule").map(|event| &event["Schedule"]).collect();
    assert_eq!(schedules, ["rate(1 minute)"]);
}

#[test]
fn a_storage_event_reaches_split_or_the_dead_letters() {
    let template = Template::read();
    let invoke = &template.properties("SplitFunction")["EventInvokeConfig"];
    assert_eq!(invoke["MaximumRetryAttempts"].as_u64(), Some(2));
    assert_eq!(shown(&invoke["DestinationConfig"]["OnFailure"]["Destination"]), "!GetAtt SplitsDeadQueue.Arn");

    let notifications = &template.properties("UploadsBucket")["NotificationConfiguration"]["LambdaConfigurations"];
    let prefixes: Vec<Value> = list(notifications)
        .into_iter()
        .map(|notification| {
            assert_eq!(notification["Event"], "s3:ObjectCreated:*");
            assert_eq!(shown(&notification["Function"]), "!Ref SplitFunction.Alias");
            notification["Filter"]["S3Key"]["Rules"].clone()
        })
        .collect();
    let prefix = |folder: Folder| json!([{ "Name": "prefix", "Value": format!("{}/", folder.text()) }]);
    let prefixes: Vec<_> = prefixes.iter().map(json).collect();
    assert_eq!(prefixes, [prefix(Folder::Uploads), prefix(Folder::Inbox)]);

    let permission = template.properties("UploadsInvokeSplit");
    assert_eq!(shown(&permission["FunctionName"]), "!Ref SplitFunction.Alias");
    assert_eq!(shown(&permission["SourceAccount"]), "!Ref AWS::AccountId");
    let arn = UPLOADS_NAME.replace("penstock-", "arn:${AWS::Partition}:s3:::penstock-");
    assert_eq!(shown(&permission["SourceArn"]), arn);
    assert_eq!(template.0["Resources"]["UploadsBucket"]["DependsOn"], "UploadsInvokeSplit");
}

#[test]
fn every_function_gets_the_variables_that_settings_ask_for_and_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let settings = Settings::from_vars(|name| {
        asked.borrow_mut().insert(name.to_owned());
        Some(a_value(name))
    });
    settings.expect("every variable is set");
    let rate_limits = penstock_api::rate_limits(|name| {
        asked.borrow_mut().insert(name.to_owned());
        Some(a_value(name))
    });
    rate_limits.expect("a policy");
    let origins = penstock_api::CorsOrigins::from_vars(|name| {
        asked.borrow_mut().insert(name.to_owned());
        Some(a_value(name))
    });
    origins.expect("an origin");
    let asked = asked.into_inner();
    let required = required(&asked);
    assert!(required.len() >= 10, "{required:?}");

    let template = Template::read();
    let references = [
        ("PENSTOCK_IMPORTS_TABLE", IMPORTS_NAME),
        ("PENSTOCK_RECORDS_TABLE", RECORDS_NAME),
        ("PENSTOCK_UPLOADS_BUCKET", UPLOADS_NAME),
        ("PENSTOCK_RESULTS_BUCKET", "!Ref ResultsBucket"),
        ("PENSTOCK_UPLOAD_TTL_SECONDS", "!Ref UploadTtlSeconds"),
        ("PENSTOCK_STALL_SECONDS", "!Ref StallSeconds"),
        ("PENSTOCK_ACCOUNT_IMPORTS", "!Ref AccountImports"),
        ("PENSTOCK_ACCOUNT_DAY_BYTES", "!Ref AccountDayBytes"),
        ("PENSTOCK_RATE_LIMITS", "!Ref RateLimits"),
        ("PENSTOCK_CORS_ORIGINS", "!Join\n- ','\n- !Ref CorsOrigins"),
        ("PENSTOCK_EVENT_BUS", "!Ref EventBus"),
        ("PENSTOCK_WEBHOOK_PORTS", "!Join\n- ','\n- !Ref WebhookPorts"),
        ("PENSTOCK_STACK", "!Ref AWS::StackName"),
    ];
    for function in FunctionName::ALL {
        let environment = template.environment(&id(function));
        for name in required.iter().filter(|name| !OF_LAMBDA.contains(&name.as_str())) {
            assert!(environment.contains_key(name.as_str()), "{function} lacks {name}");
        }
        for name in environment.keys().filter(|name| name.starts_with("PENSTOCK_")) {
            assert!(asked.contains(*name), "{function} gets {name}, which nothing reads");
        }
        // The way to the machine itself is open in the local cloud alone.
        assert!(!environment.contains_key("PENSTOCK_WEBHOOK_LOOPBACK"), "{function}");
        // What fault tests set, nothing that is deployed knows.
        assert!(FAULT_VARIABLES.iter().all(|name| !environment.contains_key(*name)), "{function}");
        for (name, reference) in references {
            assert_eq!(environment[name], reference, "{function}: {name}");
        }
        // As the local cloud's functions have it, whose memory the tests bound.
        assert_eq!(environment["MALLOC_ARENA_MAX"], "'1'", "{function}");
        for queue in QueueName::ALL {
            assert_eq!(environment[queue.row().variable], format!("!Ref {}", queue.logical_id()), "{function}");
        }
    }
}

#[test]
fn defaults_of_parameters_are_those_of_the_settings() {
    let by_default = |name: &str| name.ends_with("_SECONDS") || name.ends_with("_DAYS") || name.contains("_ACCOUNT_");
    let settings = Settings::from_vars(|name| (!by_default(name)).then(|| a_value(name)));
    let settings = settings.expect("what is required is set");
    let parameters = &Template::read().0["Parameters"];
    let default = |name: &str| parameters[name]["Default"].as_u64();
    assert_eq!(default("UploadTtlSeconds"), Some(settings.upload_ttl_seconds));
    assert_eq!(default("UploadTtlSeconds"), Some(limits::UPLOAD_TTL_SECONDS));
    assert_eq!(parameters["UploadTtlSeconds"]["MaxValue"].as_u64(), Some(limits::UPLOAD_TTL_MOST_SECONDS));
    assert_eq!(default("StallSeconds"), Some(settings.stall_seconds));
    assert_eq!(default("AccountImports"), Some(settings.account_imports as u64));
    assert_eq!(parameters["AccountImports"]["MaxValue"].as_u64(), Some(limits::ACCOUNT_IMPORTS_MOST as u64));
    assert_eq!(default("AccountDayBytes"), Some(settings.account_day_bytes));
    assert_eq!(default("ConfirmDays"), Some(settings.confirm_days));
    assert_eq!(default("UploadRetentionDays"), Some(settings.upload_retention_days));
    assert_eq!(default("ImportRetentionDays"), Some(settings.import_retention_days));
    assert_eq!(default("ExportRetentionDays"), Some(settings.export_retention_days));
    // Nothing over the defaults.
    assert_eq!(parameters["RateLimits"]["Default"], "");
    let by_default =
        |value: Option<&str>| penstock_api::rate_limits(|_| value.map(str::to_owned)).expect("the defaults");
    assert_eq!(by_default(parameters["RateLimits"]["Default"].as_str()), by_default(None));
    for (name, parameter) in entries(parameters) {
        assert!(!parameter["Default"].is_null(), "{name} has no default");
        assert!(parameter["Description"].as_str().is_some_and(|text| text.ends_with('.')), "{name} is not described");
    }
}

#[test]
fn functions_are_built_from_their_packages() {
    let template = Template::read();
    let of_all = &template.0["Globals"]["Function"];
    assert_eq!(of_all["Runtime"], "provided.al2023");
    assert_eq!(of_all["Handler"], "bootstrap");
    for function in FunctionName::ALL {
        let metadata = &template.0["Resources"][id(function).as_str()]["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{function}");
        let code = template.properties(&id(function))["CodeUri"].as_str().expect("a path");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(code).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("the package's manifest");
        let binary = metadata["BuildProperties"]["Binary"].as_str().expect("a binary");
        assert_eq!(binary, format!("penstock-{function}"));
        let named = manifest.contains(&format!("name = \"{binary}\""));
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(code).join(format!("src/bin/{binary}.rs"));
        assert!(named || beside.exists(), "{function}: {binary}");
    }
    assert_eq!(template.of_type("AWS::Serverless::Function").len(), FunctionName::ALL.len());
}

#[test]
fn roles_name_their_actions_and_what_they_act_on() {
    let template = Template::read();
    for function in FunctionName::ALL {
        let properties = template.properties(&id(function));
        let role = function.logical_id("Role");
        // A role that SAM makes, and policies that it adds to one, reach beyond this stack.
        assert_eq!(shown(&properties["Role"]), format!("!GetAtt {role}.Arn"));
        assert!(properties["Policies"].is_null(), "{function}");
        assert!(template.properties(&role)["ManagedPolicyArns"].is_null(), "{role}");
        for statement in template.statements(&role) {
            let shown_statement = shown(statement);
            assert_eq!(statement["Effect"], "Allow", "{role}");
            for action in list(&statement["Action"]) {
                let action = action.as_str().expect("an action");
                assert!(ACTIONS.contains(&action), "{role}: {action}");
            }
            for resource in list(&statement["Resource"]) {
                let resource = shown(resource);
                // Traces belong to no resource.
                if resource == "'*'" {
                    assert_eq!(statement["Sid"], "Traces", "{role}");
                    continue;
                }
                let is_ours = resource.starts_with("!GetAtt ")
                    || resource.starts_with("!Sub ${")
                    || resource.ends_with("${AWS::AccountId}:event-bus/${EventBus}")
                    || resource.starts_with(
                        "!Sub\n- arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}",
                    )
                    || resource.starts_with("!Sub\n- arn:${AWS::Partition}:s3:::penstock-uploads-${Stack}");
                assert!(is_ours, "{role}: {resource}");
                let folders = ["/uploads/*", "/inbox/*", "/refused/*", "/rejected/*", "/exports/*", "/digest/*"];
                let exact = folders.iter().fold(resource.clone(), |exact, folder| exact.replace(folder, ""));
                assert!(!exact.contains('*'), "{role}: {resource}");
            }
            let writes_records = shown_statement.contains("PartiQL");
            let may_write = [FunctionName::Validate, FunctionName::Remove].contains(&function);
            assert!(!writes_records || may_write, "{role} writes records");
        }
    }
    // And the ones in which API Gateway stores uploads, the api signs, and CodeDeploy releases.
    assert_eq!(template.of_type("AWS::IAM::Role").len(), FunctionName::ALL.len() + 3);
}

/// What it may do, `tests/permissions.rs` holds to what is signed.
#[test]
fn urls_are_signed_as_a_role_that_the_api_alone_assumes() {
    let template = Template::read();
    let role = template.properties("SignerRole");
    let [trust] = &list(&role["AssumeRolePolicyDocument"]["Statement"])[..] else { panic!("one statement") };
    assert_eq!(shown(&trust["Principal"]), "AWS: !GetAtt ApiRole.Arn");
    assert_eq!((&trust["Effect"], &trust["Action"]), (&"Allow".into(), &"sts:AssumeRole".into()));
    assert_eq!(role["MaxSessionDuration"].as_u64(), Some(limits::SIGNER_SECONDS));
    assert!(role["ManagedPolicyArns"].is_null());
    let may = template.properties("ApiSigns");
    assert_eq!(shown(&may["Roles"]), "- !Ref ApiRole");
    let [statement] = &list(&may["PolicyDocument"]["Statement"])[..] else { panic!("one statement") };
    assert_eq!((&statement["Effect"], &statement["Action"]), (&"Allow".into(), &"sts:AssumeRole".into()));
    assert_eq!(shown(&statement["Resource"]), "!GetAtt SignerRole.Arn");
    for function in FunctionName::ALL {
        let environment = template.environment(&id(function));
        let told = environment.get("PENSTOCK_SIGNER_ROLE").map(String::as_str);
        assert_eq!(told, (function == FunctionName::Api).then_some("!GetAtt SignerRole.Arn"), "{function}");
    }
}

#[test]
fn functions_may_read_their_queues_and_log() {
    let template = Template::read();
    for name in FunctionName::ALL {
        let function = id(name);
        let function = function.as_str();
        let statements = template.statements(&name.logical_id("Role"));
        let allows = |action: &str, resource: &str| {
            statements.iter().any(|statement| {
                list(&statement["Action"]).iter().any(|found| *found == action)
                    && list(&statement["Resource"]).iter().any(|found| shown(found) == resource)
            })
        };
        for queue in template.events(function, "SQS").map(|event| shown(&event["Queue"])) {
            for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
                assert!(allows(action, &queue), "{function}: {action} on {queue}");
            }
        }
        let log = name.logical_id("Log");
        assert_eq!(shown(&template.properties(function)["LoggingConfig"]["LogGroup"]), format!("!Ref {log}"));
        assert_eq!(shown(&template.properties(&log)["RetentionInDays"]), "!Ref LogRetentionDays");
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            assert!(allows(action, &format!("!GetAtt {log}.Arn")), "{function}: {action}");
        }
        // Lambda sends what has failed for good in the function's name.
        let on_failure = &template.properties(function)["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
        if !on_failure.is_null() {
            assert!(allows("sqs:SendMessage", &shown(&on_failure["Destination"])), "{function}");
        }
    }
}

#[test]
fn every_path_reaches_the_api() {
    let template = Template::read();
    let api = template.properties("RestApi");
    assert_eq!(api["EndpointConfiguration"]["Type"], "REGIONAL");
    let binary = json!([
        "multipart~1form-data",
        "text~1csv",
        "text~1plain",
        "application~1octet-stream",
        "application~1gzip",
        "application~1zip",
        "application~1zstd",
        "application~1vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ]);
    assert_eq!(json(&api["BinaryMediaTypes"]), binary);
    // Of the console, which leaves that to the gateway.
    assert_eq!(json(&api["MinimumCompressionSize"]), serde_json::json!(1024));
    let routes: BTreeSet<_> = template
        .events("ApiFunction", "Api")
        .map(|event| (shown(&event["RestApiId"]), shown(&event["Method"]), shown(&event["Path"])))
        .collect();
    let route = |path: &str| ("!Ref RestApi".to_owned(), "ANY".to_owned(), path.to_owned());
    // By which SAM gives the permission to invoke it.
    assert_eq!(routes, BTreeSet::from([route("/"), route("/{proxy+}")]));
    for path in ["/", "/{proxy+}"] {
        let methods: Vec<_> = entries(&api["DefinitionBody"]["paths"][path]).collect();
        let [("x-amazon-apigateway-any-method", method)] = methods[..] else { panic!("{path}: any method") };
        let integration = &method["x-amazon-apigateway-integration"];
        assert_eq!((&integration["type"], &integration["httpMethod"]), (&"aws_proxy".into(), &"POST".into()), "{path}");
        let uri = shown(&integration["uri"]);
        assert!(uri.contains("${Function}/invocations\n- Function: !Ref ApiFunction.Alias"), "{path}: {uri}");
        assert!(method["security"].is_null(), "{path}: anybody may read the documents and the pages");
    }
    assert!(api["DefinitionBody"]["security"].is_null() && api["Auth"].is_null());
    assert_eq!(template.environment("ApiFunction")["AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH"], "'true'");
    let stage = api["StageName"].as_str().expect("a stage");
    let url = shown(&template.0["Outputs"]["ApiUrl"]["Value"]);
    assert!(url.ends_with(&format!(".${{AWS::URLSuffix}}/{stage}")), "{url}");
}

#[test]
fn no_resource_has_a_fixed_name() {
    let template = Template::read();
    let names = [
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
        ("AWS::S3::Bucket", "BucketName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::CloudWatch::Dashboard", "DashboardName"),
        ("AWS::Serverless::Api", "Name"),
        ("AWS::Serverless::Function", "FunctionName"),
    ];
    for (of_type, name) in names {
        for (resource, properties) in template.of_type(of_type) {
            match resource {
                "UploadsBucket" => assert_eq!(shown(&properties[name]), UPLOADS_NAME),
                _ => assert!(properties[name].is_null(), "{resource}"),
            }
        }
    }
}
