-- Which account was made with a key is asked whenever an external account key is pruned, and by the database itself when one
-- is deleted (store::pruning).
CREATE INDEX account_eab_key ON account (eab_key_id) WHERE eab_key_id IS NOT NULL;
