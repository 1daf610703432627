// @aws-sdk/client-sts: whom the credentials belong to that the SDK finds by itself.
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { found } from "./steps.mjs";

const { Arn, Account } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
let refused = "";
try {
  const credentials = { accessKeyId: process.env.OTHER_ID, secretAccessKey: "not the secret of this key" };
  await new STSClient({ credentials }).send(new GetCallerIdentityCommand({}));
} catch (error) {
  refused = error.name;
}
found({ arn: Arn, account: Account, refused });
