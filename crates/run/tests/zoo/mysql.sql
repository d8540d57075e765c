CREATE TABLE users (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email varchar(190) NOT NULL,
  name varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'no one''s \\ back',
  age int(11) DEFAULT NULL CHECK (age >= 0),
  kind enum('a','it''s','c)') NOT NULL DEFAULT 'a',
  flags set('x','y') DEFAULT NULL,
  price decimal(15,4) NOT NULL DEFAULT '0.0000',
  on_off tinyint(1) NOT NULL DEFAULT 1,
  bits bit(4) DEFAULT b'101',
  doc json DEFAULT NULL,
  made_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  seen_at datetime DEFAULT NULL,
  day date NOT NULL DEFAULT '2024-01-01',
  body longtext,
  twice int GENERATED ALWAYS AS (age * 2) STORED,
  shout varchar(50) GENERATED ALWAYS AS (concat(upper(name), '''!')) VIRTUAL,
  who char(36) DEFAULT (uuid()) COMMENT 'it''s generated',
  UNIQUE KEY uq_email (email),
  KEY idx_name_age (name(10), age),
  FULLTEXT KEY ft_body (body),
  CONSTRAINT price_ok CHECK (price >= 0 AND kind <> 'it''s')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='People, it''s them';
CREATE TABLE `order items` (
  `user id` bigint unsigned NOT NULL,
  line int NOT NULL DEFAULT -1,
  parent int,
  PRIMARY KEY (`user id`, line),
  KEY parent (`user id`, parent),
  CONSTRAINT items_user FOREIGN KEY (`user id`) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY (`user id`, parent) REFERENCES `order items` (`user id`, line) ON UPDATE NO ACTION
) ENGINE=InnoDB;
CREATE TABLE log_lines (at datetime(6), txt text CHARACTER SET latin1) ENGINE=MyISAM;
CREATE VIEW adults AS SELECT u.id, u.name, COALESCE(u.email, 'none') AS mail FROM users u WHERE u.age >= 18 WITH CASCADED CHECK OPTION;
CREATE SQL SECURITY INVOKER VIEW a_first AS SELECT id, (SELECT count(*) FROM `order items` i WHERE i.`user id` = adults.id) AS n FROM adults;
CREATE FUNCTION twice_of(n int(11)) RETURNS int(11) DETERMINISTIC RETURN n * 2;
DELIMITER //
CREATE PROCEDURE tidy(IN older int, OUT gone int)
BEGIN
  -- old ones go
  DELETE FROM users WHERE age > older;
  SET gone = ROW_COUNT();
END//
CREATE TRIGGER users_bi BEFORE INSERT ON users FOR EACH ROW BEGIN
  IF NEW.age IS NULL THEN SET NEW.age = 1; END IF;
END//
DELIMITER ;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE COMMENT 'at night' DO DELETE FROM log_lines;
