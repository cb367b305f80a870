//! `template.yaml`, held to what the functions ask for and to the numbers that the local cloud is tested with.
//!
//! cfn-lint (`.ci/run`) says that the template is valid; this says that it is Penstock.

mod operations;
mod stores;
mod upload_route;

use std::{cell::RefCell, collections::BTreeMap, collections::BTreeSet, path::Path, path::PathBuf};

use penstock_local::{FunctionOptions, Options, QueueOptions};
use penstock_model::limits;
use penstock_store::{FAULT_VARIABLES, Settings};
use serde_json::json;
use yaml_serde::Value;

const FUNCTIONS: [(&str, &str); 6] = [
    ("api", "ApiFunction"),
    ("authorize", "AuthorizeFunction"),
    ("split", "SplitFunction"),
    ("validate", "ValidateFunction"),
    ("report", "ReportFunction"),
    ("sweep", "SweepFunction"),
];

/// What Lambda gives every function without being told (AWS Lambda Developer Guide, "Defined runtime environment variables").
const OF_LAMBDA: [&str; 4] = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Every action that a role may name. cfn-lint does not look at the names in a SAM template; these are spelt as the Service Authorization
/// Reference spells them.
const ACTIONS: [&str; 22] = [
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:PutObject",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
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

struct Template(Value);

impl Template {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
        let text = std::fs::read_to_string(path).expect("template.yaml is there");
        Self(yaml_serde::from_str(&text).expect("template.yaml is YAML"))
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
        statements.flat_map(|statements| statements.as_sequence().expect("statements")).collect()
    }
}

fn entries(mapping: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = mapping.as_mapping().expect("a mapping").iter();
    entries.map(|(key, value)| (key.as_str().expect("keys are strings"), value))
}

/// A value as it is written in the template, tags included.
fn shown(value: &Value) -> String {
    yaml_serde::to_string(value).expect("a value that was read can be written").trim_end().to_owned()
}

/// A list, or a single value, such as a `!Sub` of a list, as a list of one.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Sequence(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).expect("a value without tags")
}

/// What any variable may hold, a number or a text.
fn a_value(name: &str) -> String {
    if name == "PENSTOCK_RATE_LIMITS" { "native.all.address=off" } else { "60" }.to_owned()
}

/// The variables of which none may be missing.
fn required(asked: &BTreeSet<String>) -> Vec<&String> {
    let without = |missing: &str| Settings::from_vars(|name| (name != missing).then(|| a_value(name)));
    asked.iter().filter(|name| without(name).is_err()).collect()
}

fn local() -> Options {
    Options::new(PathBuf::from("penstock"))
}

fn local_functions(options: &Options) -> [(&'static str, &FunctionOptions); 6] {
    let of = |name| match name {
        "api" => &options.functions.api,
        "authorize" => &options.functions.authorize,
        "split" => &options.functions.split,
        "validate" => &options.functions.validate,
        "report" => &options.functions.report,
        _ => &options.functions.sweep,
    };
    FUNCTIONS.map(|(name, id)| (id, of(name)))
}

/// Each queue, its dead-letter queue, the function that reads it, and how it behaves in the local cloud.
fn local_queues(options: &Options) -> [(&'static str, &'static str, &'static str, &QueueOptions); 3] {
    [
        ("ChunksQueue", "ChunksDeadQueue", "ValidateFunction", &options.queues.chunks),
        ("SplitsQueue", "SplitsDeadQueue", "SplitFunction", &options.queues.splits),
        ("ReportsQueue", "ReportsDeadQueue", "ReportFunction", &options.queues.reports),
    ]
}

#[test]
fn timeouts_are_those_of_the_local_cloud() {
    let template = Template::read();
    for (function, options) in local_functions(&local()) {
        assert_eq!(template.properties(function)["Timeout"].as_u64(), Some(options.timeout.as_secs()), "{function}");
    }
}

#[test]
fn queues_behave_as_those_of_the_local_cloud() {
    let template = Template::read();
    let timeout = |function| template.properties(function)["Timeout"].as_u64().expect("a timeout");
    for (queue, dead, function, options) in local_queues(&local()) {
        let (properties, dead_properties) = (template.properties(queue), template.properties(dead));
        assert_eq!(properties["VisibilityTimeout"].as_u64(), Some(6 * timeout(function)), "{queue}");
        assert_eq!(options.visibility_timeout, None, "{queue}: six times the timeout there too");
        let redrive = &properties["RedrivePolicy"];
        assert_eq!(redrive["maxReceiveCount"].as_u64(), Some(u64::from(options.max_receive_count)), "{queue}");
        assert_eq!(shown(&redrive["deadLetterTargetArn"]), format!("!GetAtt {dead}.Arn"));
        assert_eq!(dead_properties["VisibilityTimeout"].as_u64(), Some(6 * timeout("SweepFunction")), "{dead}");
        assert_eq!(dead_properties["MessageRetentionPeriod"].as_u64(), Some(14 * 24 * 60 * 60), "{dead}");
        assert!(properties["MessageRetentionPeriod"].as_u64() < dead_properties["MessageRetentionPeriod"].as_u64());
        assert!(dead_properties["RedrivePolicy"].is_null(), "{dead}");
    }
    let queues = template.of_type("AWS::SQS::Queue");
    assert_eq!(queues.len(), 2 * local_queues(&local()).len(), "each queue that is no dead-letter queue has one");
    for (queue, properties) in queues {
        assert_eq!(properties["MaximumMessageSize"].as_u64(), Some(limits::MESSAGE_BYTES as u64), "{queue}");
        assert_eq!(properties["SqsManagedSseEnabled"].as_bool(), Some(true), "{queue}");
    }
}

#[test]
fn functions_read_the_queues_that_they_read_in_the_local_cloud() {
    let template = Template::read();
    let options = local();
    let read = local_queues(&options).map(|(queue, _, function, options)| (function, queue, options.batch_size));
    let dead = local_queues(&options).map(|(_, dead, _, _)| ("SweepFunction", dead, 1));
    let wanted: BTreeSet<_> =
        read.into_iter().chain(dead).map(|(f, q, n)| (f, format!("!GetAtt {q}.Arn"), n)).collect();
    let mut found = BTreeSet::new();
    for (_, function) in FUNCTIONS {
        for event in template.events(function, "SQS") {
            assert_eq!(json(&event["FunctionResponseTypes"]), json!(["ReportBatchItemFailures"]), "{function}");
            let batch_size = event["BatchSize"].as_u64().expect("a batch size") as usize;
            assert!(batch_size * limits::MESSAGE_BYTES < 6_000_000, "{function}: a batch fits an invocation");
            found.insert((function, shown(&event["Queue"]), batch_size));
        }
    }
    assert_eq!(found, wanted);
    let chunks = template.events("ValidateFunction", "SQS").next().expect("the chunks queue");
    assert_eq!(shown(&chunks["ScalingConfig"]["MaximumConcurrency"]), "!Ref ValidatorConcurrency");
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
    let [notification] = &list(notifications)[..] else { panic!("one notification") };
    assert_eq!(notification["Event"], "s3:ObjectCreated:*");
    assert_eq!(shown(&notification["Function"]), "!GetAtt SplitFunction.Arn");
    let rules = json(&notification["Filter"]["S3Key"]["Rules"]);
    assert_eq!(rules, json!([{ "Name": "prefix", "Value": "uploads/" }]));

    let permission = template.properties("UploadsInvokeSplit");
    assert_eq!(shown(&permission["FunctionName"]), "!Ref SplitFunction");
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
    let asked = asked.into_inner();
    let required = required(&asked);
    assert!(required.len() >= 10, "{required:?}");

    let template = Template::read();
    let references = [
        ("PENSTOCK_IMPORTS_TABLE", "!Ref ImportsTable"),
        ("PENSTOCK_RECORDS_TABLE", "!Ref RecordsTable"),
        ("PENSTOCK_UPLOADS_BUCKET", UPLOADS_NAME),
        ("PENSTOCK_RESULTS_BUCKET", "!Ref ResultsBucket"),
        ("PENSTOCK_CHUNKS_QUEUE_URL", "!Ref ChunksQueue"),
        ("PENSTOCK_SPLITS_QUEUE_URL", "!Ref SplitsQueue"),
        ("PENSTOCK_REPORTS_QUEUE_URL", "!Ref ReportsQueue"),
        ("PENSTOCK_UPLOAD_TTL_SECONDS", "!Ref UploadTtlSeconds"),
        ("PENSTOCK_STALL_SECONDS", "!Ref StallSeconds"),
        ("PENSTOCK_RATE_LIMITS", "!Ref RateLimits"),
        ("PENSTOCK_STACK", "!Ref AWS::StackName"),
    ];
    for (_, function) in FUNCTIONS {
        let environment = template.environment(function);
        for name in required.iter().filter(|name| !OF_LAMBDA.contains(&name.as_str())) {
            assert!(environment.contains_key(name.as_str()), "{function} lacks {name}");
        }
        for name in environment.keys().filter(|name| name.starts_with("PENSTOCK_")) {
            assert!(asked.contains(*name), "{function} gets {name}, which nothing reads");
        }
        // What fault tests set, nothing that is deployed knows.
        assert!(FAULT_VARIABLES.iter().all(|name| !environment.contains_key(*name)), "{function}");
        for (name, reference) in references {
            assert_eq!(environment[name], reference, "{function}: {name}");
        }
    }
}

#[test]
fn defaults_of_parameters_are_those_of_the_settings() {
    let settings = Settings::from_vars(|name| {
        (!name.ends_with("_SECONDS") && name != "PENSTOCK_RATE_LIMITS").then(|| a_value(name))
    });
    let settings = settings.expect("what is required is set");
    let parameters = &Template::read().0["Parameters"];
    let default = |name: &str| parameters[name]["Default"].as_u64();
    assert_eq!(default("UploadTtlSeconds"), Some(settings.upload_ttl_seconds));
    assert_eq!(default("UploadTtlSeconds"), Some(limits::UPLOAD_TTL_SECONDS));
    assert_eq!(default("StallSeconds"), Some(settings.stall_seconds));
    // Nothing over the defaults.
    assert_eq!(parameters["RateLimits"]["Default"], "");
    assert_eq!(settings.rate_limits, "".parse().expect("no policy is one too"));
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
    for (name, function) in FUNCTIONS {
        let metadata = &template.0["Resources"][function]["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{function}");
        let code = template.properties(function)["CodeUri"].as_str().expect("a path");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(code).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("the package's manifest");
        let binary = metadata["BuildProperties"]["Binary"].as_str().expect("a binary");
        assert_eq!(binary, format!("penstock-{name}"));
        let named = manifest.contains(&format!("name = \"{binary}\""));
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(code).join(format!("src/bin/{binary}.rs"));
        assert!(named || beside.exists(), "{function}: {binary}");
    }
    assert_eq!(template.of_type("AWS::Serverless::Function").len(), FUNCTIONS.len());
}

#[test]
fn roles_name_their_actions_and_what_they_act_on() {
    let template = Template::read();
    for (name, function) in FUNCTIONS {
        let properties = template.properties(function);
        let role = function.replace("Function", "Role");
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
                    || resource.starts_with("!Sub\n- arn:${AWS::Partition}:s3:::penstock-uploads-${Stack}");
                assert!(is_ours, "{role}: {resource}");
                let exact = resource.replace("/uploads/*", "").replace("/rejected/*", "");
                assert!(!exact.contains('*'), "{role}: {resource}");
            }
            let writes_records = shown_statement.contains("PartiQL");
            assert!(!writes_records || name == "validate", "{role} writes records");
        }
    }
    // And the one in which API Gateway stores uploads.
    assert_eq!(template.of_type("AWS::IAM::Role").len(), FUNCTIONS.len() + 1);
}

#[test]
fn functions_may_read_their_queues_and_log() {
    let template = Template::read();
    for (_, function) in FUNCTIONS {
        let statements = template.statements(&function.replace("Function", "Role"));
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
        let log = function.replace("Function", "Log");
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
        assert!(shown(&integration["uri"]).contains("${ApiFunction.Arn}/invocations"), "{path}");
    }
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
