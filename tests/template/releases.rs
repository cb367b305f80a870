//! How work comes to a new version of a function: everything that invokes one names its alias, and a gradual release is
//! taken back by alarms of the version that it is of.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::FunctionName;
use yaml_serde::Value;

use super::{Template, entries, id, json, list, release_says, shown};

/// Whether an alarm is one by which a release is taken back, and which is there for that alone.
pub(super) fn is_of_releases(alarm: &str) -> bool {
    alarm.starts_with("Release")
}

/// The resources that a value names, an alias and a version as `XFunction.Alias` and `XFunction.Version`, in whatever
/// way: by `Ref`, by `GetAtt`, or within a text.
fn named(value: &Value, names: &mut BTreeSet<String>) {
    let resource = |path: &str| match path.split('.').collect::<Vec<_>>()[..] {
        [function, part @ ("Alias" | "Version"), ..] => format!("{function}.{part}"),
        [resource, ..] => resource.to_owned(),
        [] => String::new(),
    };
    match value {
        Value::Tagged(tagged) => {
            match (tagged.tag.to_string().as_str(), &tagged.value) {
                ("!Ref" | "!GetAtt", Value::String(path)) => drop(names.insert(resource(path))),
                (_, inner) => named(inner, names),
            };
        }
        // Of `Sub`, which may stand in a list; no other text has braces of this kind.
        Value::String(text) => {
            for part in text.split("${").skip(1) {
                names.insert(resource(part.split('}').next().unwrap_or_default()));
            }
        }
        Value::Sequence(members) => members.iter().for_each(|member| named(member, names)),
        Value::Mapping(members) => members.values().for_each(|member| named(member, names)),
        _ => (),
    }
}

/// What each resource waits for, with the ones that SAM makes of a function: an alias waits for the version and, in a
/// gradual release, for the alarms and CodeDeploy's role; what invokes a function by an event of it is told apart.
fn waits(template: &Template) -> BTreeMap<String, BTreeSet<String>> {
    let mut waits = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, resource) in entries(&template.0["Resources"]) {
        let mut of = BTreeSet::new();
        named(&resource["Properties"], &mut of);
        of.extend(resource["DependsOn"].as_str().map(str::to_owned));
        if resource["Type"] == "AWS::Serverless::Function" {
            let (mut events, mut alarms) = (BTreeSet::new(), BTreeSet::new());
            named(&resource["Properties"]["Events"], &mut events);
            named(&resource["Properties"]["DeploymentPreference"], &mut alarms);
            named(&template.0["Globals"]["Function"]["DeploymentPreference"], &mut alarms);
            let mut of_function = BTreeSet::new();
            for (property, value) in entries(&resource["Properties"]) {
                if !["Events", "DeploymentPreference"].contains(&property) {
                    named(value, &mut of_function);
                }
            }
            named(&template.0["Globals"]["Function"]["Environment"], &mut of_function);
            of = of_function;
            waits.insert(format!("{name}.Version"), BTreeSet::from([name.to_owned()]));
            alarms.insert(format!("{name}.Version"));
            waits.insert(format!("{name}.Alias"), alarms);
            events.insert(format!("{name}.Alias"));
            waits.insert(format!("{name}.Events"), events);
        }
        waits.insert(name.to_owned(), of);
    }
    let known: BTreeSet<_> = waits.keys().cloned().collect();
    waits.values_mut().for_each(|of| of.retain(|name| known.contains(name)));
    waits
}

/// A path that comes back to where it began, if one leads on from the end of `path`.
fn circle(waits: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
    let last = path.last().expect("a beginning").clone();
    for next in &waits[&last] {
        if path.contains(next) {
            path.push(next.clone());
            return true;
        }
        if !done.contains(next) {
            path.push(next.clone());
            if circle(waits, path, done) {
                return true;
            }
            path.pop();
        }
    }
    done.insert(last);
    false
}

#[test]
fn nothing_waits_for_itself_in_a_gradual_release() {
    let template = Template::read();
    let waits = waits(&template);
    let mut done = BTreeSet::new();
    for name in waits.keys() {
        let mut path = vec![name.clone()];
        assert!(!circle(&waits, &mut path, &mut done), "CloudFormation would refuse it: {path:?}");
    }
    // What is looked for is found: the bucket waits for the alias that it tells, and that for its alarms.
    assert!(waits["UploadsBucket"].contains("SplitFunction.Alias"), "{:?}", waits["UploadsBucket"]);
    assert!(waits["RestApi"].contains("ApiFunction.Alias"), "{:?}", waits["RestApi"]);
    assert!(waits["SplitFunction.Alias"].contains("ReleaseSplitAlarm"), "{:?}", waits["SplitFunction.Alias"]);
    assert!(waits["ReleaseSplitAlarm"].contains("SplitFunction.Version"), "{:?}", waits["ReleaseSplitAlarm"]);
    // With an alarm that names another function there would be a circle.
    let mut other = waits.clone();
    other.get_mut("ReleaseApiAlarm").expect("an alarm").insert("NotifyFunction".to_owned());
    let mut path = vec!["RestApi".to_owned()];
    assert!(circle(&other, &mut path, &mut BTreeSet::new()), "the notifier has the URL of the API");
}

#[test]
fn whoever_invokes_a_function_names_its_alias() {
    let template = Template::read();
    let of_all = &template.0["Globals"]["Function"];
    let alias = of_all["AutoPublishAlias"].as_str().expect("a name");
    for function in FunctionName::ALL {
        let properties = template.properties(&id(function));
        // Else SAM makes a version of other code alone, and the alias goes on with the old settings.
        assert_eq!(properties["AutoPublishAliasAllProperties"].as_bool(), Some(true), "{function}");
        assert!(properties["AutoPublishAlias"].is_null() && properties["Description"].is_null(), "{function}");
    }
    let permissions = template.of_type("AWS::Lambda::Permission");
    assert_eq!(permissions.len(), 2, "the others SAM makes of events, which follow the alias");
    for (name, permission) in permissions {
        assert!(shown(&permission["FunctionName"]).ends_with("Function.Alias"), "{name}");
    }
    // An ARN without the alias is of what is being deployed, and no alarm has one.
    let text = include_str!("../../template.yaml");
    assert!(!text.contains("Function.Arn"), "something names a function past its alias");
    let authorizer = &template.properties("RestApi")["DefinitionBody"]["components"]["securitySchemes"]["Uploader"];
    let uri = shown(&authorizer["x-amazon-apigateway-authorizer"]["authorizerUri"]);
    assert!(uri.contains("${Function}/invocations\n- Function: !Ref AuthorizeFunction.Alias"), "{uri}");
    let emulated = include_str!("../../infra/ministack/cloud.py");
    assert!(emulated.contains(&format!("ALIAS = \"{alias}\"")));
}

#[test]
fn a_gradual_release_is_there_when_it_is_asked_for() {
    let template = Template::read();
    let parameter = &template.0["Parameters"]["GradualRelease"];
    assert_eq!(parameter["Default"], "None");
    let allowed: BTreeSet<_> = list(&parameter["AllowedValues"]).into_iter().filter_map(Value::as_str).collect();
    let ways: BTreeMap<_, _> = entries(&template.0["Mappings"]["GradualReleases"])
        .map(|(way, answers)| (way, answers["ByCodeDeploy"].as_str().expect("a text")))
        .collect();
    assert_eq!(ways.keys().copied().collect::<BTreeSet<_>>(), allowed);
    assert!(ways.iter().all(|(way, answer)| *answer == if *way == "None" { "false" } else { "true" }), "{ways:?}");
    let preference = &template.0["Globals"]["Function"]["DeploymentPreference"];
    let enabled = "!FindInMap\n- GradualReleases\n- !Ref GradualRelease\n- ByCodeDeploy";
    assert_eq!(shown(&preference["Enabled"]), enabled);
    assert_eq!(shown(&preference["Type"]), "!Ref GradualRelease");
    // Without one SAM makes a role, with a policy of AWS and without a boundary.
    assert_eq!(shown(&preference["Role"]), "!GetAtt ReleaseRole.Arn");
    let trust = &template.properties("ReleaseRole")["AssumeRolePolicyDocument"]["Statement"];
    let [statement] = &list(trust)[..] else { panic!("one statement") };
    assert_eq!(json(&statement["Principal"]), serde_json::json!({ "Service": "codedeploy.amazonaws.com" }));
    for statement in template.statements("ReleaseRole") {
        let resource = shown(&statement["Resource"]);
        let own = resource.contains(":function:${AWS::StackName}-*") || resource.ends_with(":alarm:*");
        assert!(own && statement["Effect"] == "Allow", "{resource}");
    }
}

#[test]
fn a_release_is_taken_back_by_the_alarms_of_its_version() {
    let template = Template::read();
    let mut used = BTreeSet::new();
    for function in FunctionName::ALL {
        let alarms = &template.properties(&id(function))["DeploymentPreference"]["Alarms"];
        let Value::Tagged(when) = alarms else { panic!("{function}: under the condition") };
        assert_eq!((when.tag.to_string().as_str(), &when.value[0]), ("!If", &"HasGradualRelease".into()), "{function}");
        let alarms: BTreeSet<_> =
            list(&when.value[1]).into_iter().map(|alarm| shown(alarm).replace("!Ref ", "")).collect();
        let of_errors = format!("Release{}", function.logical_id("Alarm"));
        let (answers, returns) = ("ReleaseAnswersAlarm".to_owned(), "ReleaseReturnsAlarm".to_owned());
        let reads_queues = template.events(&id(function), "SQS").count() > 0;
        let wanted = match function {
            FunctionName::Api => BTreeSet::from([of_errors.clone(), answers]),
            // A wrong key is an error of it.
            FunctionName::Authorize => BTreeSet::from([answers]),
            // It reads dead letters alone.
            FunctionName::Sweep => BTreeSet::from([of_errors.clone()]),
            _ if reads_queues => BTreeSet::from([of_errors.clone(), returns]),
            other => panic!("what does {other} do?"),
        };
        assert_eq!(alarms, wanted, "{function}");
        if alarms.contains(&of_errors) {
            let alarm = template.properties(&of_errors);
            let name = id(function);
            let dimensions: Vec<_> = list(&alarm["Dimensions"])
                .into_iter()
                .map(|each| (each["Name"].as_str().expect("a name"), shown(&each["Value"])))
                .collect();
            let wanted = [
                ("FunctionName", format!("!Ref {name}")),
                ("Resource", format!("!Sub ${{{name}}}:live")),
                ("ExecutedVersion", format!("!GetAtt {name}.Version.Version")),
            ];
            assert_eq!(dimensions, wanted, "{of_errors}");
            assert_eq!((&alarm["Namespace"], &alarm["MetricName"]), (&"AWS/Lambda".into(), &"Errors".into()));
        }
        used.extend(alarms);
    }
    let mut there = template.of_type("AWS::CloudWatch::Alarm");
    there.retain(|name, _| is_of_releases(name));
    assert_eq!(there.keys().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), used);
    for (name, alarm) in there {
        assert_eq!(template.0["Resources"][name]["Condition"], "HasGradualRelease", "{name}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}: nothing was done by it yet");
        // The shortest release takes five minutes.
        let seconds = alarm["Period"].as_u64().zip(alarm["EvaluationPeriods"].as_u64());
        assert!(seconds.is_some_and(|(period, periods)| period * periods <= 120), "{name}");
    }
    let printed = include_str!("../../infra/OPERATIONS.md");
    assert!(used.iter().all(|alarm| is_of_releases(alarm)) && printed.contains(&format!("{} alarms more", used.len())));
}

/// SAM sees no value of a parameter, so that `infra/release/deploy` writes one for all of them into each function.
#[test]
fn a_changed_parameter_makes_a_new_version() {
    let of_all = &Template::read().0["Globals"]["Function"];
    let deploy = include_str!("../../infra/release/deploy");
    let description = of_all["Description"].as_str().expect("a description");
    assert!(deploy.contains(&format!("^    Description: {description}$")), "it finds what to write after");
    let program = "import account, sys\n\
                   archive, *named = sys.argv[1:]\n\
                   print(account.revision([archive.encode()], dict(parameter.split('=', 1) for parameter in named)))";
    let revision = |arguments: &[&str]| release_says(program, arguments);
    let Some(before) = revision(&["code"]) else { return };
    let differs = |arguments: &[&str]| revision(arguments).expect("python3") != before;
    assert!(differs(&["other code"]) && differs(&["code", "StallSeconds=60"]));
    assert!(differs(&["code", "RestoredImportsTable=imports-20261130"]));
    // As a stack tells its parameters that were never named.
    let template = Template::read();
    let all = entries(&template.0["Parameters"]).map(|(name, parameter)| {
        let default = &parameter["Default"];
        format!("{name}={}", default.as_str().map_or_else(|| shown(default), str::to_owned))
    });
    let all: Vec<_> = std::iter::once("code".to_owned()).chain(all).collect();
    assert!(!differs(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    // A first deployment makes the second step with the same versions; a way to release is none of a function's.
    assert!(!differs(&["code", "DeletionProtection=false", "GradualRelease=Canary10Percent5Minutes"]));
}
