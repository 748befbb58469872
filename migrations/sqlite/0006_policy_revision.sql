-- The commit that the policy of a certificate was taken from (store::certificates); `policy_revision` is the hash of its content.
ALTER TABLE certificate ADD COLUMN policy_commit TEXT;
