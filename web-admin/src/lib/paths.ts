/** Every address of the pages and every address that is a link rather than a call. */
export const paths = {
  claim: '/claim',
  login: '/login',
  join: '/join',
  student: '/student',
  home: '/',
  lessons: '/lessons',
  lesson: (id: string) => `/lessons/${id}`,
  attendance: (lessonId: string) => `/lessons/${lessonId}/attendance`,
  classes: '/classes',
  schoolClass: (id: string) => `/classes/${id}`,
  seating: (classId: string) => `/classes/${classId}/seating`,
  classAttendance: (classId: string) => `/classes/${classId}/attendance`,
  rooms: '/rooms',
  room: (id: string) => `/rooms/${id}`,
  recordings: '/recordings',
  recording: (id: string) => `/recordings/${id}`,
  teachers: '/teachers',
  settings: '/settings',
  health: '/health',
};

/** Where students sign in, as it is typed on another device: on the box that this page is from. */
export const joinAddress = () => `${location.host}${paths.join}`;

/** What goes to and from the box as it is: pictures, files, parts of recordings. */
export const files = {
  preview: (lessonId: string, version: number) =>
    `/api/v1/lessons/${lessonId}/preview.jpg?v=${version}`,
  /** The sheet has times of day: the reader's, as they were on the day of the lesson. */
  attendance: (lesson: { id: string; start_at: number }, kind: 'csv' | 'xlsx') =>
    `/api/v1/lessons/${lesson.id}/attendance.${kind}?utc_offset_minutes=${utcOffsetMinutes(lesson.start_at)}`,
  classAttendance: (classId: string, kind: 'csv' | 'xlsx') =>
    `/api/v1/classes/${classId}/attendance.${kind}`,
  students: (classId: string, kind: 'csv' | 'xlsx') =>
    `/api/v1/classes/${classId}/students.${kind}`,
  segment: (recordingId: string, segmentId: string) =>
    `/api/v1/recordings/${recordingId}/segments/${segmentId}`,
  recentPiece: (lessonId: string, segmentId: string, offset: number) =>
    `/api/v1/lessons/${lessonId}/recent/${segmentId}/${offset}`,
  download: (recordingId: string) => `/api/v1/recordings/${recordingId}/download`,
  importPreview: (classId: string) => `/api/v1/classes/${classId}/import/preview`,
  importStudents: (classId: string) => `/api/v1/classes/${classId}/import`,
  siteRoot: '/api/v1/site/root.pem',
  openSession: (roomId: string) => `/api/v1/rooms/${roomId}/broadcast.sdp`,
};

/** Where WHIP offers go. */
export const whipEndpoint = (lessonId: string, publication: 'screen' | 'person') =>
  `/api/v1/lessons/${lessonId}/whip/${publication}`;

/** Where WHEP offers go; `former`: the session that this page has lost. */
export const whepEndpoint = (lessonId: string, former: string | null) =>
  `/api/v1/lessons/${lessonId}/whep${former === null ? '' : `?former=${former}`}`;

/** Eastwards, as the box counts; the browser counts the other way. */
function utcOffsetMinutes(at: number): number {
  return -new Date(at).getTimezoneOffset();
}
