//! The pages as a person uses them for the first time, and on a small screen: in Russian, by what
//! stands there to be read, in a real browser against a real box.
//!
//! What would make these fail: a word or a button that is not there, a page that must be moved
//! sideways on a phone, a list of students that is read by half, a machine that a token from the
//! page does not let in, a student who comes and is not seen, a code that does not let its student
//! in, a student's name on any page that the whole class sees, a recording that does not play while
//! it is being written, a sheet that is not the class's.
//!
//! Every page is opened that `web-admin/src/lib/paths.ts` has, so a new one is judged with the
//! rest.
//!
//! Limitations: a phone's width makes no phone of a computer: it has a mouse, and it can share.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use calamine::{Reader, Xlsx};
use classroom::{
    Browser, By, Classroom, Page, Process, binaries,
    browser::Trust,
    eventually, marker,
    school::{self, EMAIL, Options, PASSWORD, School, Seat, claim_code},
    trace::{self, Trace},
};
use serde::Deserialize;
use serde_json::json;

/// For what takes a moment: a limit that only a failure reaches.
const SOON: Duration = Duration::from_secs(20);

const PHONE: (u32, u32) = (390, 844);

/// What stands in the place of something private while the whole screen is on air.
const COVERED: &str = "Скрыто, пока весь ваш экран в эфире";

/// Who sits at the first machine.
const STUDENT: &str = "Student 1";

/// Every address of the pages, as they have it themselves.
const PATHS: &str = include_str!("../../web-admin/src/lib/paths.ts");

/// Pages that name students, and pages that have other secrets.
const NAMING: [&str; 5] = ["lesson", "attendance", "schoolClass", "seating", "classAttendance"];
const SECRET: [&str; 3] = ["room", "settings", "teachers"];

/// Titles of what stands in the place of a page that could not be shown, or is none.
const LOST: [&str; 4] = [
    "Nothing is here",
    "This page could not be shown",
    "Здесь ничего нет",
    "Эту страницу не удалось показать",
];

const STUDENTS: [&str; 3] = ["Ученик Первый", "Ученик Второй", "Ученик Третий"];

/// What [`Played`] is read by.
const PLAYED: &str = "
    const [width, height] = arg
    const video = document.querySelector('video')
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality()
    const paper = new OffscreenCanvas(width, height).getContext('2d')
    paper.drawImage(video, 0, 0, width, height)
    const { data } = paper.getImageData(0, 0, width, height)
    return {
        seconds: video.currentTime,
        frames: totalVideoFrames - droppedVideoFrames,
        picture: Array.from({ length: width * height }, (_, i) => data[4 * i + 1]),
    }";

/// The innermost of the elements that reach furthest to the right.
const WIDEST: &str = "
    const reach = (element) => element.getBoundingClientRect().right
    const furthest = (one, other) => (reach(other) >= reach(one) ? other : one)
    return [...document.body.querySelectorAll('*')].reduce(furthest).outerHTML.slice(0, 300)";

#[tokio::test]
async fn a_new_box_is_claimed_and_takes_a_whole_class_or_none_from_a_file() -> Result<()> {
    let classroom = Classroom::new().teacher().open().await?;
    let the_box = classroom.the_box();
    let desk = classroom.teacher()?;
    let daemon = new_box(&classroom).await?;
    let code = claim_code(&daemon).await?;
    let browser = Browser::with(Trust::ClickThrough).locale("ru-RU").without_microphone();
    let browser = browser.start(desk).await?;
    let page = browser.page();

    page.click_through(&format!("https://{}/", the_box.address())).await?;
    page.wait_for(By::Role("heading", "Этот сервер пока ничей")).await?;
    page.resize(PHONE.0, PHONE.1).await?;
    for (language, title) in
        [("English", "This box belongs to nobody yet"), ("Русский", "Этот сервер пока ничей")]
    {
        page.click(By::Text(language)).await?;
        page.wait_for(By::Role("heading", title)).await?;
        fits(&page).await?;
    }
    page.resize(1280, 720).await?;
    page.fill(By::Label("Код владельца"), &code).await?;
    page.fill(By::Label("Название школы"), "Школа 12").await?;
    page.fill(By::Label("Фамилия, имя, отчество"), "Учитель Первый").await?;
    page.fill(By::Label("Почта"), EMAIL).await?;
    page.fill(By::Label("Пароль"), PASSWORD).await?;
    page.click(By::Role("button", "Принять сервер")).await?;

    page.wait_for(By::Role("heading", "Здравствуйте, Учитель Первый")).await?;
    page.fill(By::Label("Название класса"), "7Б").await?;
    page.click(By::Role("button", "Добавить класс")).await?;
    page.wait_for(By::Role("button", "Начать урок")).await?;
    page.click(By::Role("link", "Классы")).await?;
    page.click(By::Role("link", "7Б")).await?;

    let list = desk.dir().join("7Б.csv");
    write_list(&list, "")?;
    read_list(&page, &list).await?;
    page.wait_for(By::Text("Прочитано как WINDOWS-1251: новых 2")).await?;
    page.wait_for(By::Text("Строка 3: нет фамилии и имени")).await?;
    page.wait_for(By::Role("row", STUDENTS[2])).await?;
    page.hover(By::Role("button", "Загрузить 2 учеников")).await?;
    page.wait_for(By::Text("По частям не загружаем")).await?;
    page.click(By::Role("button", "Отмена")).await?;
    page.wait_for(By::Text("Учеников ещё нет")).await?;

    write_list(&list, STUDENTS[1])?;
    read_list(&page, &list).await?;
    page.click(By::Role("button", "Загрузить 3 учеников")).await?;
    for student in STUDENTS {
        page.wait_for(By::Role("row", student)).await?;
    }
    page.wait_for(By::Text("3 ученика")).await?;
    browser.close().await?;
    classroom.close()
}

#[tokio::test]
async fn a_lesson_is_held_in_russian_on_a_phones_width() -> Result<()> {
    let school = School::open(Classroom::new().students(1).teacher(), &Options::default()).await?;
    let seat = school.seats.first().context("a seat")?;
    leave(seat).await?;
    let browser = open_browser(&school).await?;
    let page = browser.page();
    page.resize(PHONE.0, PHONE.1).await?;

    log_in(&school, &page).await?;
    fits(&page).await?;
    page.click(By::Role("button", "Начать урок")).await?;
    page.wait_for(By::Text("0 из 1")).await?;
    come(seat).await?;
    page.wait_for(By::Text("1 из 1")).await?;
    page.wait_for(By::Role("button", "Student 1 machine-1")).await?;
    fits(&page).await?;

    let moving = browser.show_moving_picture().await?;
    page.click(By::Role("button", "Показать экран")).await?;
    let shown = Trace::at(seat.trace_path());
    shown.wait_for_more(1, SOON).await?;
    moving.raise().await?;
    // What the whole class sees now names nobody.
    page.wait_for(By::Text(COVERED)).await?;
    names_nobody(&page).await?;
    turn_off_and_on(&page, "KeyB", "Класс видит тёмный экран").await?;
    turn_off_and_on(&page, "KeyF", "Картинка остановлена").await?;
    shown.wait_for_more(5, SOON).await?;
    fits(&page).await?;

    watch_while_it_is_recorded(&page).await?;
    page.click(By::Role("link", "В эфире: вернуться к уроку")).await?;
    page.click(By::Role("button", "Завершить урок")).await?;
    page.click(By::Role("button", "Да, завершить")).await?;
    page.wait_for(By::Role("heading", "Урок завершён")).await?;
    page.wait_for(By::Role("row", "Student 1 был")).await?;
    fits(&page).await?;
    judge_sheets(&page, school.classroom.teacher()?.dir()).await?;
    browser.close().await?;
    school.classroom.close()
}

#[tokio::test]
async fn every_page_fits_a_phones_width_in_both_languages() -> Result<()> {
    let school = School::open(Classroom::new().students(1).teacher(), &Options::default()).await?;
    give_long_names(&school).await?;
    let lesson = school.start_lesson().await?;
    let source = format!("/api/v1/lessons/{lesson}/source");
    school.teacher.post(&source, &json!({ "kind": "test" })).await?.ok()?;
    let places = places(&school, &lesson).await?;
    let browser = open_browser(&school).await?;
    let page = browser.page();
    page.resize(PHONE.0, PHONE.1).await?;

    page.goto(&school.url()).await?;
    for (language, label) in [("Русский", "Почта"), ("English", "Email")] {
        page.click(By::Text(language)).await?;
        page.wait_for(By::Label(label)).await?;
        fits(&page).await?;
    }
    log_in_in_english(&page).await?;
    all_fit(&school, &page, places.values()).await?;
    school.end_lesson(&lesson).await?;
    all_fit(&school, &page, [&places["lesson"], &places["recording"]]).await?;
    browser.close().await?;
    school.classroom.close()
}

#[tokio::test]
async fn no_page_names_a_student_while_the_whole_screen_is_on_air() -> Result<()> {
    let school = School::open(Classroom::new().students(1).teacher(), &Options::default()).await?;
    let browser = open_browser(&school).await?;
    let page = browser.page();
    log_in(&school, &page).await?;
    // One lesson is held already: the class's attendance has something to say.
    school.end_lesson(&school.start_lesson().await?).await?;
    page.click(By::Role("button", "Начать урок")).await?;
    page.wait_for(By::Role("button", "Показать экран")).await?;
    page.wait_for(By::Text("1 из 1")).await?;
    let lesson_url = page.url().await?;
    let lesson = lesson_url.rsplit('/').next().context("the lesson's page names it")?;
    let other = browser.open("other", &lesson_url, true).await?;
    other.wait_for(By::Text(STUDENT)).await?;

    // What stands in another window already is covered as well.
    page.click(By::Role("button", "Показать экран")).await?;
    for page in [&page, &other] {
        page.wait_for(By::Text(COVERED)).await?;
        names_nobody(page).await?;
    }
    let places = places(&school, lesson).await?;
    for (place, path) in &places {
        open(&other, &school, path).await?;
        if NAMING.contains(&place.as_str()) || SECRET.contains(&place.as_str()) {
            let covered = other.wait_for(By::Text(COVERED)).await;
            covered.with_context(|| format!("{place} covers what is private"))?;
        }
        names_nobody(&other).await?;
    }
    page.click(By::Role("button", "Меню")).await?;
    page.click(By::Role("menuitem", "Классы")).await?;
    page.click(By::Role("link", "7A")).await?;
    for tab in ["Ученики", "Места", "Посещаемость"] {
        page.click(By::Role("tab", tab)).await?;
        page.wait_for(By::Text(COVERED)).await?;
        names_nobody(&page).await?;
    }
    page.click(By::Role("link", "В эфире: вернуться к уроку")).await?;

    page.click(By::Role("button", "Прекратить показ")).await?;
    page.wait_for(By::Text(STUDENT)).await?;
    for place in NAMING {
        open(&other, &school, &places[place]).await?;
        let named = other.wait_for(By::Text(STUDENT)).await;
        named.with_context(|| format!("{place} names nobody when it may"))?;
    }
    browser.close().await?;
    school.classroom.close()
}

#[tokio::test]
async fn a_machine_joins_a_room_by_a_token_that_is_read_off_the_page() -> Result<()> {
    let options = Options { without_agents: true, ..Options::default() };
    let school = School::open(Classroom::new().students(1).teacher(), &options).await?;
    let machine = school.classroom.machines().first().context("a machine")?;
    let browser = open_browser(&school).await?;
    let page = browser.page();
    log_in(&school, &page).await?;

    page.click(By::Role("link", "Кабинеты")).await?;
    page.click(By::Role("link", "Кабинет 1")).await?;
    page.click(By::Role("button", "Добавить первые компьютеры")).await?;
    page.fill(By::Label("Для скольких компьютеров"), "2").await?;
    page.click(By::Role("button", "Создать ключ")).await?;
    let command = page.text(By::Label("Команда")).await?;
    ensure!(command == "sudo alfarid-agent enrol", "{command}");
    let token = page.text(By::Css("code[aria-label=Ключ]")).await?;
    page.click(By::Role("button", "Готово")).await?;
    page.wait_for(By::Text("Ещё на 2 компьютера, до")).await?;
    ensure!(!everything_on(&page).await?.contains(&token), "the token is shown again");

    school::enrol(machine, &token).await?;
    page.wait_for(By::Role("row", "machine-1 выключен")).await?;
    page.wait_for(By::Text("Ещё на 1 компьютер, до")).await?;
    let _agent = school::start_agent(machine)?;
    page.wait_for(By::Role("row", "machine-1 включён")).await?;
    page.wait_for(By::Text("Включено компьютеров: 1 из 1")).await?;

    page.click(By::Role("button", "Отозвать")).await?;
    page.wait_until_gone(By::Text("Ещё на 1 компьютер, до")).await?;
    page.click(By::Role("button", "Действия: machine-1")).await?;
    page.click(By::Role("menuitem", "Отозвать доверие")).await?;
    page.click(By::Role("button", "Отозвать")).await?;
    page.wait_until_gone(By::Role("row", "machine-1")).await?;
    browser.close().await?;
    school.classroom.close()
}

/// No machine, no mouse that is needed: a teacher makes the code, and the student has a phone.
#[tokio::test]
async fn a_student_comes_in_by_a_code_and_is_counted_while_the_page_is_open() -> Result<()> {
    let school = School::open(Classroom::new().teacher(), &Options::default()).await?;
    let students = format!("/api/v1/classes/{}/students", school.class_id);
    let student = json!({ "student_id": "1", "full_name": STUDENTS[0] });
    school.teacher.post(&students, &student).await?;
    let browser = open_browser(&school).await?;
    let page = browser.page();
    page.resize(PHONE.0, PHONE.1).await?;

    let code = make_a_code(&school, &page).await?;
    page.click(By::Role("link", "Я ученик")).await?;
    fits(&page).await?;
    // As a thumb types it.
    page.fill(By::Label("Код"), &code.to_lowercase().replace('-', " ")).await?;
    page.click(By::Role("button", "Войти")).await?;
    page.wait_for(By::Role("heading", STUDENTS[0])).await?;
    page.wait_for(By::Text("Сейчас у вашего класса нет урока")).await?;
    fits(&page).await?;

    let lesson = school.start_lesson().await?;
    page.wait_for(By::Role("heading", "Algebra")).await?;
    page.wait_for(By::Text("Присутствие засчитывается")).await?;
    fits(&page).await?;
    let people = school.items(&format!("/api/v1/lessons/{lesson}/people")).await?;
    ensure!(people[0]["present_by"] == "page", "{people:?}");
    // A teacher's address leads back.
    page.goto(&format!("{}/classes", school.url())).await?;
    page.wait_for(By::Role("heading", "Algebra")).await?;
    page.wait_for(By::Text("Присутствие засчитывается")).await?;

    school.end_lesson(&lesson).await?;
    page.wait_for(By::Text("Сейчас у вашего класса нет урока")).await?;
    let sheet = school.items(&format!("/api/v1/lessons/{lesson}/attendance")).await?;
    ensure!(sheet[0]["status"] == "present", "{sheet:?}");
    page.click(By::Role("button", "Выйти")).await?;
    page.wait_for(By::Label("Код")).await?;
    browser.close().await?;
    school.classroom.close()
}

/// As the teacher, who logs out again.
async fn make_a_code(school: &School, page: &Page<'_>) -> Result<String> {
    log_in(school, page).await?;
    page.goto(&format!("{}/classes/{}", school.url(), school.class_id)).await?;
    fits(page).await?;
    page.click(By::Role("button", "Коды для входа")).await?;
    page.click(By::Role("button", "Создать 1 код")).await?;
    page.wait_for(By::Text("Коды показаны только сейчас")).await?;
    fits(page).await?;
    let code = page.text(By::Css("[role=dialog] td:last-child")).await?;
    page.click(By::Role("button", "Готово")).await?;
    page.click(By::Role("button", "First Teacher: личное меню")).await?;
    page.click(By::Role("menuitem", "Выйти")).await?;
    Ok(code)
}

async fn new_box(classroom: &Classroom) -> Result<Process> {
    let the_box = classroom.the_box();
    let state = the_box.dir().join("state");
    let mut command = binaries::daemon()?;
    command.env("ALFARID_STORAGE__STATE_DIR", &state);
    command.env("ALFARID_STORAGE__RECORDINGS_DIR", state.join("recordings"));
    let daemon = the_box.spawn("daemon", command)?;
    daemon.wait_for_line(|line| line.contains("ready"), SOON).await?;
    Ok(daemon)
}

/// As a school's own program writes it: Windows-1251, semicolons. The second student's name is
/// what is asked for, so that the line may be bad.
fn write_list(path: &Path, second: &str) -> Result<()> {
    let [first, _, third] = STUDENTS;
    let list = format!("Номер;ФИО\r\n1;{first}\r\n2;{second}\r\n3;{third}\r\n");
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(&list);
    Ok(std::fs::write(path, bytes)?)
}

async fn read_list(page: &Page<'_>, list: &Path) -> Result<()> {
    page.click(By::Role("button", "Загрузить из файла")).await?;
    page.choose_files(By::Text("Выбрать файл"), &[list]).await
}

async fn open_browser(school: &School) -> Result<Browser> {
    let desk = school.classroom.teacher()?;
    Browser::with(school.trust(desk).await?).locale("ru-RU").start(desk).await
}

async fn log_in_in_english(page: &Page<'_>) -> Result<()> {
    page.fill(By::Label("Email"), EMAIL).await?;
    page.fill(By::Label("Password"), PASSWORD).await?;
    page.click(By::Role("button", "Log in")).await?;
    page.wait_for(By::Role("heading", "Hello")).await
}

/// A stranger reads the browser's language, a teacher their own: from English to Russian by hand.
async fn log_in(school: &School, page: &Page<'_>) -> Result<()> {
    page.goto(&school.url()).await?;
    page.fill(By::Label("Почта"), EMAIL).await?;
    page.fill(By::Label("Пароль"), PASSWORD).await?;
    page.click(By::Role("button", "Войти")).await?;
    page.click(By::Role("button", "First Teacher: your menu")).await?;
    page.click(By::Role("menuitem", "Русский")).await?;
    page.wait_for(By::Role("heading", "Здравствуйте, First Teacher")).await
}

/// The student's computer is switched off.
async fn leave(seat: &Seat) -> Result<()> {
    let player = seat.player.as_ref().context("a player")?;
    player.terminate().await?;
    seat.agent.terminate().await.map(drop)
}

/// It is switched on.
async fn come(seat: &Seat) -> Result<()> {
    seat.agent.restart().await?;
    seat.player.as_ref().context("a player")?.restart().await
}

/// Nothing lies to the right of the screen.
async fn fits(page: &Page<'_>) -> Result<()> {
    let widths = "[innerWidth, document.documentElement.scrollWidth]";
    let [screen, content]: [u32; 2] = page.eval(widths, json!(null)).await?;
    ensure!(screen == PHONE.0, "the screen is {screen} wide");
    if content > screen {
        let widest: String = page.eval(WIDEST, json!(null)).await?;
        bail!("{} is {content} wide: {widest}", page.url().await?);
    }
    Ok(())
}

/// As long as they may well be: they must break, and push nothing off a small screen.
async fn give_long_names(school: &School) -> Result<()> {
    let School { class_id, room_id, .. } = school;
    let student = &school.seats.first().context("a seat")?.student_id;
    let [class, room] = ["7А (физико-математический)", "Кабинет информатики и программирования"];
    let person = "Константинопольская-Вознесенская Александра Святославовна";
    for (path, change) in [
        (format!("/api/v1/classes/{class_id}"), json!({ "name": class })),
        (format!("/api/v1/rooms/{room_id}"), json!({ "name": room })),
        (format!("/api/v1/students/{student}"), json!({ "full_name": person })),
        ("/api/v1/me".to_owned(), json!({ "full_name": person })),
    ] {
        school.teacher.patch(&path, &change).await?.ok()?;
    }
    Ok(())
}

/// The address of every page, by its name, with this lesson and its recording in it.
async fn places(school: &School, lesson: &str) -> Result<BTreeMap<String, String>> {
    let recordings = format!("/api/v1/recordings?lesson_id={lesson}");
    let recording = eventually("a recording", SOON, async || {
        let recordings = school.items(&recordings).await?;
        let id = recordings.first().and_then(|recording| recording["id"].as_str());
        id.map(str::to_owned).context("nothing is recorded yet")
    })
    .await?;
    let mut places = BTreeMap::new();
    // Between the quotation marks are the addresses, before each its name: `room: (id) => `.
    let list = PATHS.split_once("export const paths = {").context("the list of paths")?.1;
    let list = list.split_once("};").context("the end of the list")?.0;
    for pair in list.split(['\'', '`']).collect::<Vec<_>>().chunks_exact(2) {
        let (name, _) = pair[0].split_once(':').context("a name before the address")?;
        let mut folder = "";
        let mut parts = Vec::new();
        for part in pair[1].split('/') {
            parts.push(match (part.starts_with("${"), folder) {
                (false, _) => part,
                (true, "lessons") => lesson,
                (true, "classes") => &school.class_id,
                (true, "rooms") => &school.room_id,
                (true, "recordings") => &recording,
                (true, unknown) => bail!("there is nothing to put behind /{unknown}/"),
            });
            folder = part;
        }
        places.insert(name.trim_matches([',', ' ', '\n']).to_owned(), parts.join("/"));
    }
    ensure!(places.len() >= 17, "these are not all: {places:?}");
    Ok(places)
}

/// Goes to a page, and waits until it is there: neither still being read, nor lost.
async fn open(page: &Page<'_>, school: &School, path: &str) -> Result<()> {
    page.goto(&format!("{}{path}", school.url())).await?;
    page.wait_for(By::Css("h1")).await.with_context(|| format!("the title of {path}"))?;
    page.wait_until_gone(By::Css("[aria-label=Loading], [aria-label=Загрузка]")).await?;
    let title = page.text(By::Css("h1")).await?;
    ensure!(!LOST.contains(&title.as_str()), "{path}: {title}");
    Ok(())
}

async fn all_fit(
    school: &School,
    page: &Page<'_>,
    paths: impl IntoIterator<Item = &String> + Clone,
) -> Result<()> {
    for language in ["en", "ru"] {
        school.teacher.patch("/api/v1/me", &json!({ "language": language })).await?.ok()?;
        for path in paths.clone() {
            open(page, school, path).await?;
            page.wait_for(By::Css(&format!("html[lang={language}]"))).await?;
            fits(page).await?;
        }
    }
    Ok(())
}

/// Neither to be read on it nor behind anything that is pointed at.
async fn names_nobody(page: &Page<'_>) -> Result<()> {
    let is_named = everything_on(page).await?.contains(STUDENT);
    ensure!(!is_named, "{} names a student", page.url().await?);
    Ok(())
}

async fn everything_on(page: &Page<'_>) -> Result<String> {
    page.eval("document.documentElement.outerHTML", json!(null)).await
}

async fn turn_off_and_on(page: &Page<'_>, key: &str, words: &str) -> Result<()> {
    page.press(key).await?;
    page.wait_for(By::Text(words)).await?;
    page.press(key).await?;
    page.wait_until_gone(By::Text(words)).await
}

/// By the menu, away from the lesson, which stays on the air.
async fn watch_while_it_is_recorded(page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "Меню")).await?;
    page.click(By::Role("menuitem", "Записи")).await?;
    page.wait_for(By::Role("row", "идёт запись")).await?;
    fits(page).await?;
    page.click(By::Role("link", "7A")).await?;
    page.wait_for(By::Text("Урок ещё идёт; записанное уже можно смотреть.")).await?;
    page.click(By::Role("button", "Смотреть")).await?;
    fits(page).await?;
    let first = Played::after(page, None).await?;
    Played::after(page, Some(first)).await.map(drop)
}

/// How far the page's video element has come.
#[derive(Debug, Deserialize)]
struct Played {
    seconds: f64,
    /// Decoded and not dropped.
    frames: u32,
    /// What stands on it now: small and grey.
    picture: Vec<u8>,
}

impl Played {
    /// Waits for a picture of the shared screen, beyond `last` in every respect.
    async fn after(page: &Page<'_>, last: Option<Self>) -> Result<Self> {
        eventually("a picture that moves on", SOON, async || {
            let now: Self = page.eval(PLAYED, json!([trace::WIDTH, trace::HEIGHT])).await?;
            let place = (now.seconds, now.frames, now.counter());
            ensure!(now.frames > 0 && now.counter().is_some(), "{place:?}");
            if let Some(last) = &last {
                let was = (last.seconds, last.frames, last.counter());
                let moves_on = place.0 > was.0 && place.1 > was.1 && place.2 > was.2;
                ensure!(moves_on, "{place:?} after {was:?}");
            }
            Ok(now)
        })
        .await
    }

    fn counter(&self) -> Option<u32> {
        marker::read(&self.picture, trace::WIDTH, trace::HEIGHT)
    }
}

async fn judge_sheets(page: &Page<'_>, dir: &Path) -> Result<()> {
    let (csv, xlsx) = (dir.join("attendance.csv"), dir.join("attendance.xlsx"));
    for (kind, path) in [("CSV", &csv), ("Excel", &xlsx)] {
        page.click(By::Role("button", "Скачать")).await?;
        page.download(By::Role("menuitem", kind), path).await?;
    }
    let csv = std::fs::read_to_string(csv)?;
    let line = csv.lines().find(|line| line.contains("Student 1")).context("the student's line")?;
    ensure!(line.starts_with("001;Student 1;присутствие;"), "{line}");
    let mut book: Xlsx<_> = calamine::open_workbook(xlsx)?;
    let sheet = book.worksheet_range_at(0).context("a sheet")??;
    let row = sheet.rows().next_back().context("a row")?;
    let row: Vec<_> = row.iter().map(ToString::to_string).collect();
    ensure!(row[..3] == ["001", "Student 1", "присутствие"], "{row:?}");
    Ok(())
}
