-- Hazards of PostgreSQL's DDL, one beside the other.
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'Happy', 'happy');
CREATE TABLE types (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a smallint, b integer, c numeric, d numeric(12,4), e numeric(80,40), f real, g double precision,
  h text, i varchar(20), j char(5), k bytea, l date, m time, n time(3), o timetz, p timestamp, q timestamptz(3), r interval, s json, t jsonb, u uuid,
  v bit(8), w bit varying(100), x inet, y integer[], z int4range, aa mood, ab boolean, ac money, ad xml, ae tsvector, af point, ag cidr, ah macaddr
);
CREATE TABLE keys (code text PRIMARY KEY, twice varchar(2000) UNIQUE, big bytea UNIQUE, other text);
CREATE TABLE of_keys (
  id serial PRIMARY KEY, code text NOT NULL REFERENCES keys ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, uid uuid DEFAULT gen_random_uuid(),
  made timestamptz NOT NULL DEFAULT now(), day date DEFAULT CURRENT_DATE, utc timestamp DEFAULT (now() AT TIME ZONE 'utc'),
  status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent')), price numeric(10,2) CHECK (price > 0 AND price < 1000.5),
  mail text CHECK (mail LIKE '%@%'), code_upper text GENERATED ALWAYS AS (upper(code)) STORED, tags text[] DEFAULT '{}',
  live boolean NOT NULL DEFAULT true, feeling mood DEFAULT 'happy', CONSTRAINT odd_range CHECK (price IS NULL OR live)
);
CREATE UNIQUE INDEX live_mail ON of_keys (mail) WHERE live;
CREATE UNIQUE INDEX lower_mail ON of_keys (lower(mail));
CREATE INDEX by_status ON of_keys (status DESC, price);
CREATE INDEX by_tags ON of_keys USING gin (tags);
CREATE TABLE "MixedCase" ("Id" integer PRIMARY KEY, id integer);
CREATE TABLE mixedcase (a integer);
COMMENT ON TABLE keys IS 'it''s a key';
COMMENT ON COLUMN keys.code IS 'the "code"';
CREATE VIEW sent AS SELECT id, code FROM of_keys WHERE status = 'sent';
