-- Hazards of MySQL's and MariaDB's DDL, one beside the other.
CREATE TABLE types (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, a tinyint, b tinyint unsigned, c smallint unsigned, d mediumint, e int unsigned, f bigint unsigned, g decimal(65,30),
  h float, i double, j float(7,2), k char(5), l varchar(20), m tinytext, n mediumtext, o binary(4), p varbinary(300), q longblob, r date, s time(3), t datetime(6), u timestamp NULL,
  v year, w bit(1), x bit(64), y enum('a','b,c','it''s',''), z set('p','q','r s'), aa json, ab point, ac geometry, ad tinyint(1), ae int(5) zerofill
) AUTO_INCREMENT=1000;
CREATE TABLE keys_of (code varchar(50) NOT NULL, other varchar(50) COLLATE utf8mb4_bin, txt text, bin varbinary(20), n int, PRIMARY KEY (code), UNIQUE KEY u_other (other), UNIQUE KEY u_txt (txt(3)), KEY k_n (n DESC), KEY k_bin (bin(4), n), FULLTEXT KEY ft (txt));
CREATE TABLE refers (
  id int NOT NULL AUTO_INCREMENT, code varchar(50), big bigint unsigned, made datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, stamp timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  uid char(36) DEFAULT (uuid()), flag bit(1) DEFAULT b'1', five int DEFAULT '5', nul varchar(9) DEFAULT 'NULL', emp varchar(9) NOT NULL DEFAULT '', day date DEFAULT '2024-01-01',
  price decimal(10,2) NOT NULL DEFAULT 0.00, bytes binary(4) NULL DEFAULT NULL, total decimal(12,2) GENERATED ALWAYS AS (price * 2) STORED, short varchar(20) GENERATED ALWAYS AS (left(code, 3)) VIRTUAL,
  yes tinyint(1) NOT NULL DEFAULT 1 CHECK (yes IN (0, 1)), PRIMARY KEY (id), KEY code (code), KEY big (big),
  CONSTRAINT to_code FOREIGN KEY (code) REFERENCES keys_of (code) ON DELETE SET NULL ON UPDATE CASCADE, CONSTRAINT to_types FOREIGN KEY (big) REFERENCES types (id),
  CONSTRAINT price_ok CHECK (price >= 0 AND char_length(emp) < 9)
) COMMENT='it''s a table';
CREATE TABLE `sp ace.dot` (`Upper` int PRIMARY KEY COMMENT 'with \'quotes\'');
CREATE TABLE prefixed (t text, PRIMARY KEY (t(10)));
CREATE VIEW cheap AS SELECT id, code FROM refers WHERE price < 10;
