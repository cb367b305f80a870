//! `infra/release/role.yaml`: who deploys, and as what.

use std::collections::BTreeSet;

use yaml_serde::Value;

use super::{Template, entries, json, list, shown, template};

fn role() -> Template {
    Template(template::read("infra/release/role.yaml"))
}

/// The actions of statements that allow.
fn allowed<'a>(statements: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let allowing = statements.into_iter().filter(|statement| statement["Effect"] == "Allow");
    allowing.flat_map(|statement| list(&statement["Action"])).map(shown).collect()
}

#[test]
fn one_environment_of_one_repository_deploys() {
    let role = role();
    let trust = &role.properties("DeployRole")["AssumeRolePolicyDocument"]["Statement"];
    let [statement] = &list(trust)[..] else { panic!("one statement") };
    assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity");
    let condition = &statement["Condition"];
    assert_eq!(entries(condition).count(), 1, "equal, not like");
    let equals = &condition["StringEquals"];
    assert_eq!(equals["token.actions.githubusercontent.com:aud"], "sts.amazonaws.com");
    let subject = shown(&equals["token.actions.githubusercontent.com:sub"]);
    assert_eq!(subject, "!Sub repo:${Repository}:environment:${Environment}");
}

#[test]
fn what_the_stacks_roles_do_is_within_their_boundary() {
    let template = Template::read();
    let boundary = role();
    let boundary = allowed(list(&boundary.properties("Boundary")["PolicyDocument"]["Statement"]));
    let mut asked = allowed(list(&template.properties("KeysPolicy")["PolicyDocument"]["Statement"]));
    for role in template.of_type("AWS::IAM::Role").into_keys() {
        asked.extend(allowed(template.statements(role)));
    }
    assert!(asked.is_subset(&boundary), "beyond it: {:?}", asked.difference(&boundary).collect::<Vec<_>>());
    let beyond: Vec<_> = boundary.difference(&asked).filter(|action| *action != "sts:AssumeRole").collect();
    assert!(beyond.is_empty(), "nobody asks for {beyond:?}");
}

/// What makes a resource of a type, and of the ones that SAM makes of it.
fn makes(resource: &str) -> &'static [&'static str] {
    match resource {
        "AWS::ApiGateway::BasePathMapping" | "AWS::ApiGateway::DomainName" => &["apigateway:POST"],
        "AWS::Budgets::Budget" => &["budgets:ModifyBudget"],
        "AWS::CloudWatch::Alarm" => &["cloudwatch:PutMetricAlarm"],
        "AWS::CloudWatch::Dashboard" => &["cloudwatch:PutDashboard"],
        "AWS::DynamoDB::Table" => {
            &["dynamodb:CreateTable", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTimeToLive"]
        }
        "AWS::IAM::Policy" => &["iam:PutRolePolicy"],
        "AWS::IAM::Role" => &["iam:CreateRole", "iam:PassRole"],
        "AWS::Lambda::Permission" => &["lambda:AddPermission"],
        "AWS::Logs::LogGroup" => &["logs:CreateLogGroup", "logs:PutRetentionPolicy"],
        "AWS::S3::Bucket" => &["s3:CreateBucket", "s3:PutBucketNotification", "s3:PutLifecycleConfiguration"],
        "AWS::S3::BucketPolicy" => &["s3:PutBucketPolicy"],
        "AWS::SQS::Queue" => &["sqs:CreateQueue"],
        "AWS::SQS::QueuePolicy" => &["sqs:SetQueueAttributes"],
        "AWS::Serverless::Api" => &["apigateway:POST"],
        "AWS::Serverless::Function" => &[
            "events:PutRule",
            "events:PutTargets",
            "codedeploy:CreateApplication",
            "codedeploy:CreateDeployment",
            "codedeploy:CreateDeploymentGroup",
            "codedeploy:GetDeployment",
            "codedeploy:GetDeploymentConfig",
            "codedeploy:RegisterApplicationRevision",
            "lambda:CreateAlias",
            "lambda:CreateEventSourceMapping",
            "lambda:CreateFunction",
            "lambda:PublishVersion",
            "lambda:PutFunctionConcurrency",
            "lambda:PutFunctionEventInvokeConfig",
            "lambda:PutFunctionRecursionConfig",
            "lambda:UpdateAlias",
        ],
        "AWS::WAFv2::WebACLAssociation" => &["apigateway:SetWebACL", "wafv2:AssociateWebACL"],
        other => panic!("which actions make {other}? infra/release/role.yaml has to allow them"),
    }
}

#[test]
fn cloudformation_may_make_what_the_template_names() {
    let role = role();
    let allowed = allowed(role.statements("StackRole"));
    for (name, resource) in entries(&Template::read().0["Resources"]) {
        for action in makes(resource["Type"].as_str().expect("a type")) {
            assert!(allowed.contains(*action), "{name}: {action}");
        }
    }
}

#[test]
fn who_deploys_gets_no_permission_but_by_the_boundary() {
    let role = role();
    // Nothing of AWS's own policies, and no wildcard in what is allowed.
    for name in role.of_type("AWS::IAM::Role").into_keys() {
        assert!(role.properties(name)["ManagedPolicyArns"].is_null(), "{name}");
        let wide: Vec<_> = allowed(role.statements(name)).into_iter().filter(|action| action.contains('*')).collect();
        assert!(wide.is_empty(), "{name}: {wide:?}");
        for statement in role.statements(name) {
            if list(&statement["Resource"]).into_iter().any(|resource| *resource == "*") {
                let sid = statement["Sid"].as_str().expect("a name");
                assert!(["Mappings", "MappingsRead", "Quota"].contains(&sid), "{name}: {sid}");
            }
        }
    }
    let grants = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"];
    for statement in role.statements("StackRole") {
        let actions = allowed([statement]);
        if grants.iter().any(|action| actions.contains(*action)) {
            let boundary = shown(&statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"]);
            assert_eq!(boundary, "!Ref Boundary");
        }
        // A role that could be taken by whoever its maker likes is passed to these alone.
        if actions.contains("iam:PassRole") {
            let to = json(&statement["Condition"]["StringEquals"]["iam:PassedToService"]);
            assert_eq!(to, json!(["apigateway.amazonaws.com", "codedeploy.amazonaws.com", "lambda.amazonaws.com"]));
        }
        assert!(!actions.contains("iam:DeleteRolePermissionsBoundary") && !actions.contains("iam:AttachRolePolicy"));
    }
    let itself = role.statements("StackRole").into_iter().find(|statement| statement["Sid"] == "NotItself");
    assert_eq!(itself.expect("a statement")["Effect"], "Deny");
}

/// The example names what the template gives out, and the deployment takes.
#[test]
fn the_example_pipeline_takes_the_role_and_holds_no_credential() {
    let text = include_str!("../../infra/release/pipeline.yml");
    let pipeline: Value = yaml_serde::from_str(text).expect("YAML");
    assert_eq!(pipeline["permissions"]["id-token"], "write");
    let job = &pipeline["jobs"]["deploy"];
    assert_eq!(job["environment"], role().0["Parameters"]["Environment"]["Default"]);
    let steps = list(&job["steps"]);
    let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let deploys = runs.iter().find(|run| run.starts_with("infra/release/deploy ")).expect("it deploys");
    assert!(deploys.contains("\"PermissionsBoundaryArn=${{ vars.BOUNDARY_ARN }}\""), "{deploys}");
    let name = role().0["Parameters"]["StackName"]["Default"].as_str().expect("a name").to_owned();
    assert!(deploys.starts_with(&format!("infra/release/deploy {name} ")), "{deploys}");
    assert!(include_str!("../../infra/release/deploy").contains("STACK_ROLE_ARN"));
    assert!(!text.contains("secrets."), "nothing is stored");
}
