"""API Gateway of LocalStack's core, in front of another cloud's functions and buckets: the stack's, on MiniStack.

The core maps requests and answers by templates, converts bytes and text, and hands requests on to S3. It has no
authorizers of one's own; those of the type REQUEST are here: the method's function is asked before anything else, as
the Amazon API Gateway Developer Guide has it ("Input to an API Gateway Lambda authorizer", "Output from an API Gateway
Lambda authorizer"). Whatever S3 is asked goes to the other cloud.

    gateway.py URL          the URL of the other cloud; cloud.py says the rest by the environment
"""

import json
import sys

import boto3
from localstack.runtime.main import main
from localstack.services.apigateway.next_gen.execute_api import gateway_response, handlers
from localstack.services.apigateway.next_gen.execute_api.helpers import get_lambda_function_arn_from_invocation_uri
from localstack.services.apigateway.next_gen.execute_api.integrations import REST_API_INTEGRATIONS


def asked(context):
    """What the authorizer is asked of a request."""
    request, about = context.invocation_request, context.context_variables
    method = request["http_method"]
    execution = f"arn:aws:execute-api:{context.region}:{context.account_id}:{context.api_id}"
    return {
        "type": "REQUEST",
        "methodArn": f"{execution}/{context.stage}/{method}{request['path']}",
        "resource": context.resource["path"],
        "path": request["path"],
        "httpMethod": method,
        "headers": dict(request["headers"].items()),
        "multiValueHeaders": {name: request["headers"].getlist(name) for name in request["headers"].keys()},
        "queryStringParameters": request["query_string_parameters"],
        "multiValueQueryStringParameters": request["multi_value_query_string_parameters"],
        "pathParameters": request["path_parameters"],
        "stageVariables": context.stage_variables or {},
        "requestContext": {
            "resourcePath": context.resource["path"],
            "httpMethod": method,
            "apiId": context.api_id,
            "stage": context.stage,
            "requestId": about["requestId"],
            "identity": {"sourceIp": about["identity"]["sourceIp"]},
        },
    }


class Authorizers:
    """The handler that asks a method's authorizer, and lets the request pass or ends it."""

    def __init__(self, functions):
        self.functions = functions

    def __call__(self, chain, context, response):
        if context.resource_method.get("authorizationType") != "CUSTOM":
            return
        authorizer = context.deployment.rest_api.authorizers[context.resource_method["authorizerId"]]
        function = get_lambda_function_arn_from_invocation_uri(authorizer["authorizerUri"])
        answer = self.functions.invoke(FunctionName=function, Payload=json.dumps(asked(context)))
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            if said["errorMessage"] == "Unauthorized":
                raise gateway_response.UnauthorizedError("Unauthorized")
            raise gateway_response.AuthorizerFailureError()
        [statement] = said["policyDocument"]["Statement"]
        if statement["Effect"] != "Allow":
            raise gateway_response.AccessDeniedError("User is not authorized to access this resource with an explicit deny")
        context.context_variables["authorizer"] = {**said["context"], "principalId": said["principalId"]}


if __name__ == "__main__":
    [url] = sys.argv[1:]
    handlers.preprocess_request.append(Authorizers(boto3.client("lambda", endpoint_url=url)))
    REST_API_INTEGRATIONS["AWS"]._base_domain = url
    main()
