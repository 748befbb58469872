-- The labels of a device as one JSON object in its row: they are few, and are read whenever the device is (store::devices).
ALTER TABLE device ADD COLUMN labels TEXT COLLATE "C" NOT NULL DEFAULT '{}';
